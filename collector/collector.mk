# collector/: its sources become build/libcollector.a; main.c becomes pcap-agent
LIBS_OURS += collector
PROGRAMS += pcap-agent
pcap-agent_ROOM := collector
pcap-agent_LIBS := collector schema common
