# uploader/: its sources become build/libuploader.a
LIBS_OURS += uploader

# libs3 as an archive: Debian's shared one brings a second libcurl into the process.  Its calls of curl_easy_perform go to libs3_curl_wrap.c first.
UPLOADER_LDLIBS := -Wl,--wrap=curl_easy_perform -l:libs3.a
