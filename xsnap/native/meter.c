#include "meter.h"

#include <xsAll.h>

static bool (*asked)(void *machine, uint32_t computrons);

static txBoolean within(txMachine *the, txU4 index) { return asked(the, index); }

void meterBegin(void *machine, bool (*withinLimit)(void *machine, uint32_t computrons)) {
  asked = withinLimit;
  fxBeginMetering(machine, within, withinLimit ? 1 : 0);
}

uint32_t meterRead(const void *machine) { return ((const txMachine *)machine)->meterIndex; }
void meterWrite(void *machine, uint32_t computrons) { ((txMachine *)machine)->meterIndex = computrons; }
uint64_t meterAllocated(const void *machine) { return ((const txMachine *)machine)->allocatedSpace; }
uint32_t meterSlots(const void *machine) { return (uint32_t)((const txMachine *)machine)->currentHeapCount; }
