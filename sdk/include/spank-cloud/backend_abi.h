/* SPDX-License-Identifier: Apache-2.0
 *
 * The contract between the spank-cloud engine and a backend: one table of C functions.
 *
 * Compatibility. CLOUD_ABI_MAJOR changes only when an existing field changes meaning or place; the
 * entry point's name carries it. Within a major, fields are only appended. Either side reads a
 * field of the other's struct only where CLOUD_HAS() says that the struct is long enough to hold
 * it. Structs that are passed in arrays (cloud_option, cloud_setting, cloud_mount) do not grow
 * within a major: an array's stride is part of its meaning.
 *
 * Memory. Each side frees what it allocated. A pointer passed to a call is borrowed: it is valid
 * until that call returns, and no longer.
 *
 * Threads. The engine makes one call at a time into a given cloud_backend. cloud_host.log may be
 * called from any thread until close() returns.
 *
 * Errors. A call returns CLOUD_OK, or fills *err and returns err->code. It never throws, exits,
 * changes the working directory, the umask, the environment or a signal disposition.
 *
 * Machines. The prolog, the keeper and the epilog are different processes, so a machine is named
 * and never held: every call takes the machine's name and directory, and must work in a process
 * that did not create it, also after a restart of everything.
 *
 * Deadlines are CLOCK_MONOTONIC nanoseconds. A call that waits polls cloud_host.cancelled() at
 * least every 100 ms and returns CLOUD_E_CANCELLED when it is non-zero.
 */
#ifndef SPANK_CLOUD_BACKEND_ABI_H
#define SPANK_CLOUD_BACKEND_ABI_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CLOUD_ABI_MAJOR 1u
#define CLOUD_ABI_MINOR 0u

#define CLOUD_ENTRY_SYMBOL "cloud_backend_entry_v1"

/* Whether a struct of the other side is long enough to hold a field. */
#define CLOUD_HAS(table, field) \
  ((table)->struct_size >= offsetof(__typeof__(*(table)), field) + sizeof((table)->field))

typedef enum cloud_code {
  CLOUD_OK = 0,
  CLOUD_E_INTERNAL = 1,    /* a bug in the backend                                     */
  CLOUD_E_CONFIG = 2,      /* a setting or image is wrong: the site's to mend          */
  CLOUD_E_REQUEST = 3,     /* the job asked for what cannot be: the user's to mend     */
  CLOUD_E_NODE = 4,        /* this node cannot run machines now                        */
  CLOUD_E_NOT_FOUND = 5,   /* no machine of that name                                  */
  CLOUD_E_TIMEOUT = 6,     /* the deadline passed                                      */
  CLOUD_E_UNSUPPORTED = 7, /* a capability that the backend does not have              */
  CLOUD_E_CANCELLED = 8,   /* cloud_host.cancelled() said so                           */
} cloud_code;

typedef struct cloud_error {
  uint32_t struct_size; /* set by the caller                                          */
  int32_t code;         /* cloud_code                                                 */
  int32_t os_errno;     /* 0 where none applies                                       */
  int32_t setting;      /* index into the settings passed to open(), or -1            */
  char message[1000];   /* one line, no trailing period, NUL-terminated               */
} cloud_error;

/* Optional abilities. The engine ignores bits it does not know. */
/* info() fills init_pid: a process whose namespaces the job's user may enter with setns(2). */
#define CLOUD_CAP_NAMESPACES (UINT64_C(1) << 0)

typedef enum cloud_type { CLOUD_STRING = 1, CLOUD_INT = 2, CLOUD_BOOL = 3 } cloud_type;

/* What a backend accepts in its [backend.NAME] table. The engine checks a configuration against it,
 * so open() sees only keys and types listed here. */
typedef struct cloud_option {
  const char* key;
  int32_t type; /* cloud_type */
  int32_t required;
  const char* fallback; /* shown in the manual; NULL where none */
  const char* help;     /* one sentence */
} cloud_option;

typedef struct cloud_setting {
  const char* key;
  int32_t type; /* cloud_type */
  int32_t boolean;
  int64_t integer;
  const char* string;
  const char* file; /* where the value stands, for messages */
  uint32_t line;
  uint32_t column;
} cloud_setting;

typedef enum cloud_level { CLOUD_ERROR = 0, CLOUD_WARN, CLOUD_INFO, CLOUD_DEBUG } cloud_level;

typedef struct cloud_host {
  uint32_t struct_size;
  uint32_t abi_minor;
  void* context;
  void (*log)(void* context, cloud_level level, const char* message);
  /* Non-zero once the job is being cancelled; long calls poll it. */
  int (*cancelled)(void* context);
} cloud_host;

typedef struct cloud_image {
  uint32_t struct_size;
  const char* name;   /* the catalogue's name */
  const char* path;   /* absolute; never written to */
  const char* format; /* "directory" or "squashfs" or a format that this backend names */
  const char* init; /* "auto", "systemd", "none", or the absolute path of a program in the image */
} cloud_image;

typedef struct cloud_user {
  uint32_t struct_size;
  uint32_t uid;
  uint32_t gid;
  const char* name;
  const char* home;
  const char* shell;
  const uint32_t* groups; /* supplementary groups, without gid */
  const char* const*
      group_names; /* group_count + 1 entries; the last is gid's; an entry may be "" */
  size_t group_count;
} cloud_user;

typedef struct cloud_network {
  uint32_t struct_size;
  uint32_t prefix_length;
  const char* bridge;
  const char* mac;     /* "02:..": derived from the address */
  const char* address; /* IPv4, dotted */
  const char* gateway; /* may be "" */
  const char* const* dns;
  size_t dns_count;
} cloud_network;

typedef struct cloud_mount {
  uint32_t struct_size;
  int32_t read_only;
  int32_t source_fd;  /* O_PATH, opened with the job user's rights; -1 in prepare() */
  const char* source; /* for messages only: what stands there may have been swapped since */
  const char* target; /* absolute path inside the machine */
} cloud_mount;

/* All that a backend needs to know of a machine. In prepare() the job's cgroup does not exist yet:
 * cpu_count, cpus, memory_bytes and cgroup are 0 or "". */
typedef struct cloud_machine_spec {
  uint32_t struct_size;
  uint32_t cpu_count;
  uint64_t memory_bytes;
  uint64_t job_id;
  const char* name;     /* [a-z0-9-]{1,63}, unique on the node */
  const char* hostname; /* a DNS label */
  const char* cpus;     /* physical ids in list format: "0-1,4" */
  const char* work_dir; /* the machine's own directory, root-owned, on node-local disk; exists */
  const char* cgroup;   /* path below the root of every v1 controller (or of the v2 hierarchy): the
                           engine made it; every process of the machine lives below it */
  uint32_t subid_first; /* first host uid and gid of the machine's own range */
  uint32_t subid_count; /* 65536 */
  const cloud_image* image;
  const cloud_user* user;
  const cloud_network* network; /* NULL: loopback only */
  const cloud_mount* mounts;
  size_t mount_count;
} cloud_machine_spec;

/* What is left of a machine when only the job record is. */
typedef struct cloud_machine_ref {
  uint32_t struct_size;
  const char* name;
  const char* work_dir;
  const char* cgroup; /* "" when it was never started */
} cloud_machine_ref;

typedef enum cloud_state {
  CLOUD_ABSENT = 0,
  CLOUD_PREPARED = 1,
  CLOUD_STARTING = 2,
  CLOUD_RUNNING = 3,
  CLOUD_STOPPING = 4,
} cloud_state;

typedef struct cloud_machine_info {
  uint32_t struct_size; /* set by the caller */
  int32_t state;        /* cloud_state */
  int64_t init_pid;     /* CLOUD_CAP_NAMESPACES; 0 where none */
  char detail[256];     /* one line, or "" */
} cloud_machine_info;

typedef struct cloud_backend cloud_backend;

typedef struct cloud_backend_v1 {
  uint32_t struct_size;
  uint32_t abi_minor;
  const char* name; /* [a-z][a-z0-9_]*, the file name's middle part */
  const char* version;
  uint64_t capabilities;
  uint64_t must_understand; /* the engine refuses a backend with a bit it does not know */
  const cloud_option* options;
  size_t option_count;

  int32_t (*open)(const cloud_host* host, const cloud_setting* settings, size_t count,
                  cloud_backend** out, cloud_error* err);
  void (*close)(cloud_backend* self);
  /* Whether this node can run machines of this kind at all. Milliseconds. */
  int32_t (*probe)(cloud_backend* self, cloud_error* err);
  /* All that can fail early and all that is slow to undo. Called by the prolog: milliseconds. */
  int32_t (*prepare)(cloud_backend* self, const cloud_machine_spec* spec, cloud_error* err);
  /* Starts the machine with every process of it below spec->cgroup from its first page. */
  int32_t (*start)(cloud_backend* self, const cloud_machine_spec* spec, int64_t deadline_ns,
                   cloud_error* err);
  /* Returns when tasks can run inside. progress gets one line per phase reached; it may be NULL. */
  int32_t (*wait_ready)(cloud_backend* self, const cloud_machine_ref* ref, int64_t deadline_ns,
                        void (*progress)(void* context, const char* phase), void* context,
                        cloud_error* err);
  int32_t (*info)(cloud_backend* self, const cloud_machine_ref* ref, cloud_machine_info* out,
                  cloud_error* err);
  /* Asks the machine to end and waits. Idempotent: CLOUD_OK where it does not run. */
  int32_t (*stop)(cloud_backend* self, const cloud_machine_ref* ref, int64_t deadline_ns,
                  cloud_error* err);
  /* Ends the machine by force and removes all that prepare() and start() made outside work_dir,
   * which the engine removes itself afterwards, without crossing a mount or following a link.
   * Idempotent: CLOUD_OK where nothing of that name is left. */
  int32_t (*destroy)(cloud_backend* self, const cloud_machine_ref* ref, int64_t deadline_ns,
                     cloud_error* err);
  /* Visits every machine of this backend's on the node that carries our mark. */
  int32_t (*list)(cloud_backend* self, void (*visit)(void* context, const char* name),
                  void* context, cloud_error* err);
} cloud_backend_v1;

/* A backend's one export. Declared here so that every definition is visible. */
__attribute__((visibility("default"))) const cloud_backend_v1* cloud_backend_entry_v1(void);

#ifdef __cplusplus
}
#endif

#endif
