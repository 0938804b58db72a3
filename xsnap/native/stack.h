// The C stack's limit, as XS computes it.
#ifndef STACK_H
#define STACK_H

#include <stdbool.h>

// stackMeasure finds the limit; it reads /proc/self/maps, once.
bool stackMeasure(void);
char *stackLimit(void);

#endif
