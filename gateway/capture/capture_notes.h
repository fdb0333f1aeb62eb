/* capture_notes.h - what the file says about itself: who captured what, where each packet comes from, what is missing and why it ended. */
#ifndef PCAPLINE_GATEWAY_CAPTURE_CAPTURE_NOTES_H
#define PCAPLINE_GATEWAY_CAPTURE_CAPTURE_NOTES_H

#include "schema/job.h"
#include "schema/pcapng.h"

#include <stddef.h>

#define NOTE_MAX                                                                                                       \
	(PCAPNG_TEXT_MAX +                                                                                             \
		2) /* a byte more than is written: so the writer sees what is cut, and cuts between characters */

/* The section header's comment: job, user, time, target, limits, note. */
void note_section(const struct job *j, char ret[NOTE_MAX]);

/* Texts of an instance's interface: name "web/3 eth0", and the description. */
void note_interface(const struct job *j, const struct job_instance *i, const char *device, char ret_name[NOTE_MAX],
	char ret_description[NOTE_MAX]);

/* The comment of an interface's last statistics block.  first: it also names what concerns the whole file (instances that were not captured). */
void note_end(const struct job *j, const struct job_instance *i, bool first, char ret[NOTE_MAX]);

/* note_limited: adds to the note of an end which limit had slowed the capture. */
void note_limited(const char *limit, uint64_t bytes_per_s, char ret[NOTE_MAX]);

#endif
