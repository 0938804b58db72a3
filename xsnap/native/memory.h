// Memory of the machine: reserved, committed, in huge pages where the kernel
// has them, and not written to before it is needed.
#ifndef MEMORY_H
#define MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int32_t memoryPageBytes(void);

// memoryReserve returns bytes of address space that may not be used yet, or
// NULL. It begins at a huge page.
void *memoryReserve(size_t bytes);
// memoryCommit makes whole pages of a reserve usable; they are zero.
bool memoryCommit(void *at, size_t bytes);

// memorySlots returns memory for slots, or NULL. Two of them never adjoin: XS
// would make one heap of them, and which neighbours the stock worker's malloc
// gives is never such.
void *memorySlots(size_t bytes);

// memoryFaultIn has the kernel give now what a heap of the usual size will need
// of the memory that was made so far, if it can.
void memoryFaultIn(void);

// memoryIsFresh notes that so many bytes are zero because nobody has used them.
// memoryWasFresh tells once of memory that was noted last.
void memoryIsFresh(void *at, size_t bytes);
bool memoryWasFresh(void *at, size_t bytes);

#endif
