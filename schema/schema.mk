# schema/: its sources become build/libschema.a
LIBS_OURS += schema
