// The functions a vat's supervisor finds in the global object.
#ifndef HOSTFUNCTIONS_H
#define HOSTFUNCTIONS_H

enum { HOST_FUNCTIONS = 18 };

// hostFunctions is the table that snapshots refer to by number: its order can
// never change. It returns txCallback* of xsAll.h, xsCallback* of xs.h.
void *hostFunctions(void);

// hostFunctionsInstall defines them in a fresh machine.
void hostFunctionsInstall(void *machine);

#endif
