/* SPDX-License-Identifier: MIT */
/*
 * Many calls of one tool: arguments go in at one end, results come out at the other.
 *
 * A map keeps a pool's workers busy and no more: when enough calls are under way,
 * sp_map_put() waits or says so, so a million arguments need the memory of a few. Results
 * come in the order of their arguments, or as they are ready. When others fill the pool's
 * queue, a map waits until there is room.
 *
 *     sp_map_open(pit, "resize", NULL, &map, &err);
 *     while (more) {
 *         while (sp_map_put(map, args, 0, &err) == 0) {
 *             sp_map_next(map, SP_UNLIMITED, &reply, &index, &err); ... use it ...
 *         }
 *     }
 *     sp_map_finish(map);
 *     while (sp_map_next(map, SP_UNLIMITED, &reply, &index, &err) > 0) { ... }
 *     sp_map_close(map);
 */
#ifndef SNAKEPIT_MAP_H
#define SNAKEPIT_MAP_H

#include "base.h"
#include "call.h"
#include "error.h"
#include "pit.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sp_map sp_map;

typedef struct sp_map_options {
    size_t size;
    const sp_call_options *call; /* of each call, or NULL; without request_id,
                                    dedupe_key and binaries. Stays the caller's until
                                    sp_map_close() */
    uint32_t in_flight_max; /* calls under way at once, at most 65 536; 0: two for each
                               call that the workers can run at once, and up to 64 while
                               calls do not wait long in the queue */
    int unordered;          /* 1: results as they are ready */
} sp_map_options;

/*
 * Begin.
 *
 * tool     1..255 bytes of UTF-8; whether there is such a tool is said of each call
 * options  NULL for defaults
 * ret_map  set on success; release with sp_map_close() before the pit is closed
 *
 * Errors: SP_ERR_INVAL (the message says what), SP_ERR_NO_POOL, SP_ERR_NOMEM.
 * Thread: any. Since: 0.1
 */
SP_API int sp_map_open(sp_pit *pit, const char *tool, const sp_map_options *options,
                       sp_map **ret_map, sp_error *err);

/*
 * Give one call's arguments; they are copied. What is wrong with them, or with the call,
 * is said by its reply, in its place.
 *
 * timeout_ms  how long to wait for room while enough calls are under way; SP_UNLIMITED
 *             is for a thread beside the one that takes
 *
 * Returns 1 when they were taken, 0 when there was no room in that time. Errors:
 * SP_ERR_CLOSED (after sp_map_finish()), SP_ERR_NOMEM, SP_ERR_INVAL.
 * Thread: any but a callback. Since: 0.1
 */
SP_API int sp_map_put(sp_map *map, sp_bytes args_json, uint64_t timeout_ms,
                      sp_error *err);

/*
 * As sp_map_put(), with tensors or other bytes beside the arguments.
 *
 * binaries  as in sp_call_options; copied, tensors too. NULL when count is 0
 *
 * Errors: those of sp_map_put(). Thread: any but a callback. Since: 0.1
 */
SP_API int sp_map_put_with(sp_map *map, sp_bytes args_json, const sp_binary *binaries,
                           size_t count, uint64_t timeout_ms, sp_error *err);

/* No more arguments will come. Thread: any. Since: 0.1 */
SP_API void sp_map_finish(sp_map *map);

/*
 * Take the next reply.
 *
 * ret_reply  as a callback would see it: with a result or an error, both borrowed until
 *            the next call on this map
 * ret_index  of the arguments, counted from 0; may be NULL
 *
 * Returns 1 with a reply, 0 when all have been taken and sp_map_finish() was called.
 * Errors: SP_ERR_TIMEOUT (there is none in that time), SP_ERR_INVAL.
 * Thread: any but a callback, one at a time. Since: 0.1
 */
SP_API int sp_map_next(sp_map *map, uint64_t timeout_ms, sp_reply *ret_reply,
                       uint64_t *ret_index, sp_error *err);

/* Cancel what is under way, wait until it has ended, and release the map. Not while
 * another thread uses it. NULL is fine. Thread: any but a callback. Since: 0.1 */
SP_API void sp_map_close(sp_map *map);

/*
 * Call a tool once for every arguments of an array and wait for all of it. As many as may
 * be under way begin together: one wake-up of the pit, and one write for each worker.
 *
 * ret_results  count of them; those that failed are zeroed. Release each with
 *              sp_result_clear()
 * ret_errors   count of them, zeroed by the caller or used before, or NULL: code 0 where
 *              the call succeeded. Release each with sp_error_clear()
 *
 * Returns how many succeeded. Errors: as sp_map_open(), SP_ERR_NOMEM: then
 * nothing is left in either array; calls may have run.
 * Thread: any but a callback. Since: 0.1
 */
SP_API int sp_execute_many(sp_pit *pit, const char *tool, const sp_bytes *args_json,
                           size_t count, const sp_map_options *options,
                           sp_result *ret_results, sp_error *ret_errors, sp_error *err);

#ifdef __cplusplus
}
#endif
#endif
