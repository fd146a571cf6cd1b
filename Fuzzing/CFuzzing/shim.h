/* What the fuzzing driver needs of C: the weight of the heap, and libFuzzer's way in (only in guided builds). */
#include <malloc.h>
#include <stddef.h>
#include <stdint.h>

extern int LLVMFuzzerRunDriver(int *argc, char ***argv, int (*callback)(const uint8_t *data, size_t size));
