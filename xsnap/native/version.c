#include "version.h"

#include <xsAll.h>

#define QUOTE(x) #x
#define TEXT(x) QUOTE(x)

const char *workerVersion(void) {
  return "xsnap-native " XSNAP_VERSION
         " (XS " TEXT(XS_MAJOR_VERSION) "." TEXT(XS_MINOR_VERSION) "." TEXT(XS_PATCH_VERSION) ")";
}

const char *workerAbilities(void) { return "heap-area"; }
