/* A call of the C library that Swift's Glibc module leaves out: it needs _GNU_SOURCE. See sync_file_range(2). */
#include <stdint.h>

extern int sync_file_range(int descriptor, int64_t offset, int64_t count, unsigned int flags);

#define GANGLION_SYNC_FILE_RANGE_WRITE 2u
