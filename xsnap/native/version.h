#ifndef VERSION_H
#define VERSION_H

// workerVersion is the line that -v prints and IdentifyEngine reads.
const char *workerVersion(void);

#endif
