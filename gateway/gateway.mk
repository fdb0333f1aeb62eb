# gateway/: its sources become build/libgateway.a; main.c becomes pcap-gateway
LIBS_OURS += gateway
PROGRAMS += pcap-gateway
pcap-gateway_ROOM := gateway
pcap-gateway_LIBS := gateway uploader schema common
pcap-gateway_LDLIBS := $(UPLOADER_LDLIBS)
