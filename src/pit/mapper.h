/* SPDX-License-Identifier: MIT */
/* Many calls of one tool with a bounded number under way: what sp_map is. */
#ifndef SP_PIT_MAPPER_H
#define SP_PIT_MAPPER_H

#include "pit/pit.h"
#include "snakepit/map.h"

/* What one put brings. */
struct cargo {
    sp_bytes args_json;
    const sp_binary *binaries; /* count of them */
    size_t count;
};

/* As their public counterparts say; the options are whole and stay the caller's. */
int sp__mapper_open(struct sp_pit *pit, const char *tool, const sp_map_options *options,
                    struct sp_map **ret_map, sp_error *err) SP_MUST_CHECK;
int sp__mapper_put(struct sp_map *map, const struct cargo *cargo, uint64_t timeout_ms,
                   sp_error *err) SP_MUST_CHECK;
/* Between these two what is put is kept back; the second has it begin, all at once. The
 * thread that puts must also be the only one that takes, and must not take in between. */
void sp__mapper_gather(struct sp_map *map);
void sp__mapper_begin(struct sp_map *map);
void sp__mapper_finish(struct sp_map *map);
int sp__mapper_next(struct sp_map *map, uint64_t timeout_ms, sp_reply *ret_reply,
                    uint64_t *ret_index, sp_error *err) SP_MUST_CHECK;
/* Whether the next reply can be taken without waiting. */
int sp__mapper_is_due(struct sp_map *map);
void sp__mapper_close(struct sp_map *map);

#endif
