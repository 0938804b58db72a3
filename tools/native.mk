# Compiles the native worker (xsnap/native) on the XS sources of the npm package,
# with the switches and the list of sources of the package's own makefile.
# tools/native.sh calls it: make -f native.mk PACKAGE=… SOURCES=… BUILD_DIR=… XSNAP_VERSION=… TARGET

SETTINGS := $(PACKAGE)/xsnap-native/xsnap
override MODDABLE := $(PACKAGE)/moddable
override TLS_DIR := $(SETTINGS)/sources
override GOAL := release

include $(SETTINGS)/makefiles/lin/xsnap-worker.mk

# The stock main and platform, and the file that ours includes, are left out.
XS_OBJECTS := $(filter-out %/xsnap-worker.o %/xsnapPlatform.o %/xsMemory.o,$(OBJECTS))
OWN_OBJECTS := $(patsubst $(SOURCES)/%.c,$(TMP_DIR)/own/%.o,$(wildcard $(SOURCES)/*.c))

# What only sanitized programs have.
CHECK_OBJECTS := $(if $(SANITIZE),$(TMP_DIR)/own/check/options.o)
READER_OBJECTS := $(patsubst %,$(TMP_DIR)/own/%.o,frame framehead channel check/reader)

# The one switch that differs is which platform header XS includes.
C_OPTIONS := $(patsubst -DXSPLATFORM=%,-DXSPLATFORM=\"platform.h\",$(C_OPTIONS)) -I$(SOURCES) $(PREFIX_MAP)

# CC defines __has_builtin away for compilers older than any that can be used.
OWN_CC = $(firstword $(CC))

# Our own files take no warning; what they include of XS is not ours to mend.
OWN_OPTIONS = $(patsubst -I%,-isystem %,$(C_OPTIONS)) -std=gnu11 -iquote $(SOURCES) -Wall -Wextra -Werror $(SANITIZE)

.PHONY: xs xsnap-native-worker frame-reader count
xs: $(BUILD_DIR)/libxs.a
xsnap-native-worker: $(BUILD_DIR)/xsnap-native-worker
frame-reader: $(BUILD_DIR)/frame-reader
count: ; @echo $(words $(XS_OBJECTS))

$(TMP_DIR)/own: ; @mkdir -p $@/check

$(BUILD_DIR)/libxs.a: $(XS_OBJECTS)
	@rm -f $@
	@$(AR) crs $@ $^

$(XS_OBJECTS): | $(TMP_DIR)

$(sort $(OWN_OBJECTS) $(CHECK_OBJECTS) $(READER_OBJECTS)): $(TMP_DIR)/own/%.o: $(SOURCES)/%.c | $(TMP_DIR)/own
	$(OWN_CC) $< $(OWN_OPTIONS) -c -o $@

# The stock worker's LINK_OPTIONS export the names of functions, which the engine
# puts into error messages. Bound at once, forked workers share the tables of
# functions.
$(BUILD_DIR)/xsnap-native-worker: $(OWN_OBJECTS) $(CHECK_OBJECTS) $(LIBXS)
	$(OWN_CC) $(LINK_OPTIONS) $(SANITIZE) -Wl,-z,relro,-z,now $^ $(LIBRARIES) -o $@

$(BUILD_DIR)/frame-reader: $(READER_OBJECTS) $(CHECK_OBJECTS)
	$(OWN_CC) $(SANITIZE) -Wl,--wrap=read,--wrap=malloc,--wrap=free $^ -o $@
