#ifndef VERSION_H
#define VERSION_H

// workerVersion is the line that -v prints and IdentifyEngine reads.
const char *workerVersion(void);
// workerAbilities names what this build can do that earlier ones could not.
const char *workerAbilities(void);

#endif
