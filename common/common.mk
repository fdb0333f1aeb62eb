# common/: its sources become build/libcommon.a
LIBS_OURS += common
