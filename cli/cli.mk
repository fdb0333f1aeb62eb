# cli/: its sources become build/libcli.a; main.c becomes pcap
LIBS_OURS += cli
PROGRAMS += pcap
pcap_ROOM := cli
pcap_LIBS := cli schema common
