/* SPDX-License-Identifier: MIT */
/* CRC-32C (Castagnoli), the checksum of iSCSI, ext4 and SCTP. */
#ifndef SP_BASE_CRC32C_H
#define SP_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* The checksum of some bytes. In up to 600 of them no error of up to five bits goes
 * unnoticed, and no burst of up to 32. */
uint32_t sp__crc32c(const void *data, size_t size);

#endif
