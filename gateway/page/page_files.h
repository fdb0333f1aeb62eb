/* page_files.h - the sources of the status page, within the program: document, style and script.  Each ends before its _end, where a NUL stands. */
#ifndef PCAPLINE_GATEWAY_PAGE_PAGE_FILES_H
#define PCAPLINE_GATEWAY_PAGE_PAGE_FILES_H

extern const char page_html[], page_html_end[], page_style[], page_style_end[], page_script[], page_script_end[];

#endif
