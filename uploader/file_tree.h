/* file_tree.h - objects by key below one folder, for the file driver: "captures/acme/2026/01/05/<job>.pcapng" is a file in nested folders.
 * A key is checked in full before anything is touched, and its folders are walked one by one without following links. */
#ifndef PCAPLINE_UPLOADER_FILE_TREE_H
#define PCAPLINE_UPLOADER_FILE_TREE_H

#include "common/err.h"

#include <stdbool.h>

#define FILE_TREE_KEY_MAX       1024 /* bytes of a key */
#define FILE_TREE_DEPTH_MAX     16   /* components */
#define FILE_TREE_COMPONENT_MAX 200  /* bytes; NAME_MAX is 255, and what stands beside an object adds to its name */

#define FILE_TREE_META ".meta" /* ends the name of an object's side record, and no key */

/* 1..FILE_TREE_DEPTH_MAX components of [A-Za-z0-9._-] between single slashes, none beginning with '.', the whole not ending
 * with FILE_TREE_META.  -1: ERR_INPUT. */
int file_tree_check(const char *key, struct err *err);

/* The last component. */
const char *file_tree_name(const char *key);

/* file_tree_dir: the folder that key's object stands in, made (0700) with make.  A descriptor, caller closes; -1: ERR_NOT_FOUND... */
int file_tree_dir(int root, const char *key, bool make, struct err *err);

/* file_tree_prune: removes the folders of key that are empty, from the inside out, never root. */
int file_tree_prune(int root, const char *key, struct err *err);

#endif
