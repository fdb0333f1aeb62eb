/* storage.h - the store as the configuration wants it: which driver, with which keys, and where its bytes wait. */
#ifndef PCAPLINE_GATEWAY_STORAGE_STORAGE_H
#define PCAPLINE_GATEWAY_STORAGE_STORAGE_H

#include "common/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct gateway;
struct config_gateway;
struct job;

/* storage_open: fills gw->store; gw->db is open.  A store that does not answer is no failure (it may come), a configuration that cannot work is. */
int storage_open(struct gateway *gw, struct err *err);

/* storage_watch: begins to look after the store: its health, its examination.  storage_close ends that and closes the store; nothing open is fine. */
int storage_watch(struct gateway *gw, struct err *err);
void storage_close(struct gateway *gw);

/* storage_usable: may a capture be stored now, as far as can be known within about wait_ms?  gw->store is there.  ERR_FULL or ERR_UNAVAILABLE. */
int storage_usable(struct gateway *gw, uint64_t wait_ms, struct err *err);

/* storage_name: which store this is, for the job's record: "file", "s3 bucket caps at s3.example.com" (scheme and port may change). */
#define STORAGE_NAME_MAX 400
char *storage_name(const struct config_gateway *c, char ret[STORAGE_NAME_MAX]);

/* storage_is_elsewhere: is the job's object, or what is there of it so far, in a store that this gateway does not use (any more)?  Then err says so: ERR_UNAVAILABLE, detail
 * storage_elsewhere. */
bool storage_is_elsewhere(const struct gateway *gw, const struct job *j, struct err *err);

/* storage_tell: how the job's way to the store stands, as "storage" into its JSON; nothing when the store is not at work on it. */
void storage_tell(struct gateway *gw, const char *job_id, json_t *job);

/* storage_check_files: can the files that the configuration names be used?  Nothing is made, nobody is asked. */
int storage_check_files(const struct config_gateway *c, struct err *err);

#endif
