# uploader/: its sources become build/libuploader.a
LIBS_OURS += uploader
