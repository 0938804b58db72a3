// A zygote: a process that has loaded a heap and forks workers that have it too.
#ifndef ZYGOTE_H
#define ZYGOTE_H

#include "service.h"

// zygoteRun serves the socket on FD_COMMANDS. It ends the process when the
// socket is closed, and returns in every worker it forks, which then waits for a
// hello of its own. name is what ps shows of the process, with room for nameBytes.
void zygoteRun(Worker *worker, const Hello *hello, char *name, size_t nameBytes);

#endif
