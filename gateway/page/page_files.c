/* page_files.c - the status page's sources, as they lie in gateway/page, between the labels that page_files.h names.  The assembler reads them: no tool and no
 * generated file is needed, and the program is the same wherever it is built.  The script's files are one after the other, as one module. */
#include "gateway/page/page_files.h"

/* The path counts from the top of the tree, where the compiler runs. */
#define FILE_HERE(name) ".incbin \"gateway/page/" name "\"\n"
#define BEGIN(label)    ".global page_" label "\npage_" label ":\n"
#define END(label)      ".global page_" label "_end\npage_" label "_end:\n.byte 0\n"

__asm__(".pushsection .rodata,\"a\"\n"                     /* */
	BEGIN("html") FILE_HERE("admin.html") END("html")  /* */
	BEGIN("style") FILE_HERE("admin.css") END("style") /* */
	BEGIN("script") FILE_HERE("dom.js") FILE_HERE("session.js") FILE_HERE("captures.js") FILE_HERE("operators.js")
		FILE_HERE("main.js") END("script") /* */
	".popsection\n");
