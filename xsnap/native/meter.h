// What the engine counts. A machine is txMachine of xsAll.h and xsMachine of
// xs.h.
#ifndef METER_H
#define METER_H

#include <stdbool.h>
#include <stdint.h>

// meterBegin has the engine ask withinLimit at every step back in the code,
// with the computrons so far; a false answer is its end. NULL asks nobody.
void meterBegin(void *machine, bool (*withinLimit)(void *machine, uint32_t computrons));

uint32_t meterRead(const void *machine);
void meterWrite(void *machine, uint32_t computrons);

uint64_t meterAllocated(const void *machine); // bytes of chunks and slots
uint32_t meterSlots(const void *machine);     // in use

#endif
