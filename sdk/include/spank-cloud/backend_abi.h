/* SPDX-License-Identifier: Apache-2.0
 *
 * The contract between the spank-cloud engine and a backend: one table of C functions.
 *
 * Compatibility. CLOUD_ABI_MAJOR changes only when an existing field changes meaning or place; the
 * entry point's name carries it. Within a major, fields are only appended. Either side reads or
 * writes a field of the other's struct only where CLOUD_HAS() says that the struct is long enough
 * to hold it. Structs that are passed in arrays (cloud_option, cloud_setting, cloud_mount) do not
 * grow within a major, as an array's stride is part of its meaning: a property that they lack is
 * appended, as an array of its own, to the struct that points to the first (docs/abi.md).
 *
 * Memory. Each side frees what it allocated. A pointer passed to a call is borrowed: it is valid
 * until that call returns, and no longer; but the cloud_host of open() until close() returns, and a
 * backend's table for ever. open() sets *out only where it returns CLOUD_OK.
 *
 * Threads. The engine makes one call at a time into a given cloud_backend. cloud_host.log may be
 * called from any thread until close() returns; cancelled, place and guard_port from the thread
 * that the call came on, until that call returns.
 *
 * Errors. A call returns CLOUD_OK, or fills *err and returns err->code. It never throws, exits,
 * changes the working directory, the umask, the environment or a signal disposition, and writes
 * nothing to stdout or stderr, which are somebody else's (an administrator's, Slurm's):
 * cloud_host.log is there for that.
 *
 * Machines. The prolog, the keeper and the epilog are different processes, so a machine is named
 * and never held: every call takes the machine's name and directory, and must work in a process
 * that did not create it, also after a restart of everything. A name becomes part of paths: one
 * that is not [a-z0-9-]{1,63} is refused by prepare(), is never started, and does no harm to
 * info(), stop() and destroy(), whatever they answer.
 *
 * Mounts. The keeper calls in a mount namespace of its own. What start() mounts is seen by the
 * keeper and by what start() starts, by no other process, and goes with the last of them.
 *
 * Deadlines are CLOCK_MONOTONIC nanoseconds. A call that waits polls cloud_host.cancelled() at
 * least every 100 ms and returns CLOUD_E_CANCELLED when it is non-zero. In destroy(), which is what
 * a cancellation leads to, it is 0.
 */
#ifndef SPANK_CLOUD_BACKEND_ABI_H
#define SPANK_CLOUD_BACKEND_ABI_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CLOUD_ABI_MAJOR 1u
#define CLOUD_ABI_MINOR 1u

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
/* info() fills init_pid: a process whose namespaces the engine takes the job's tasks into, with
 * setns(2). Its user namespace, and those above it, belong to nobody who has an account. */
#define CLOUD_CAP_NAMESPACES (UINT64_C(1) << 0)
/* Tasks enter through OpenSSH: start() puts spec->ssh and the job's user into the machine, which
 * answers on port 22 of spec->network->address when it has booted. */
#define CLOUD_CAP_SSH (UINT64_C(1) << 1)
/* console() is there. */
#define CLOUD_CAP_CONSOLE (UINT64_C(1) << 2)

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
  /* Non-zero once the job is being cancelled; long calls poll it. Always 0 in destroy(). */
  int (*cancelled)(void* context);
  /* Moves a process with all its threads into a group, spec->cgroup or one below it, in every
   * hierarchy, and checks that each thread is there. For a machine that a daemon of somebody
   * else's has started: before it runs, as no memory that it has touched moves along. In start()
   * only; otherwise CLOUD_E_UNSUPPORTED. */
  int32_t (*place)(void* context, const char* cgroup, int64_t pid, cloud_error* err);
  /* Since 1.1. Holds back what the machine may not send, by rules at its port: an interface in the
   * caller's network namespace that is on spec->network->bridge. Once, after the port exists, and
   * before it is up or before the machine runs; no packet of the machine's passes without. The
   * engine removes the rules, after destroy(), which removes the port. In start() of a machine with
   * a network only; otherwise CLOUD_E_UNSUPPORTED. */
  int32_t (*guard_port)(void* context, const char* interface, cloud_error* err);
} cloud_host;

typedef struct cloud_image {
  uint32_t struct_size;
  const char* name; /* the catalogue's name */
  const char* path; /* absolute; never written to; its digest is checked where the site pins one */
  const char* format; /* one of the backend's image_formats */
  const char* init; /* "auto", "systemd", "none", or the absolute path of a program in the image */
  const char* initrd;            /* with a kernel as image: absolute, or "" */
  const char* cmdline;           /* with a kernel as image: its command line, or "" */
  const cloud_setting* settings; /* the keys of [image.NAME] that are among image_options */
  size_t setting_count;
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
  int32_t isolate; /* whether the machine shall not reach the other machines of the bridge */
} cloud_network;

typedef struct cloud_mount {
  uint32_t struct_size;
  int32_t read_only;
  int32_t source_fd;  /* O_PATH, opened with the job user's rights; -1 in prepare() */
  const char* source; /* for messages only: what stands there may have been swapped since */
  const char* target; /* absolute path inside the machine */
} cloud_mount;

/* CLOUD_CAP_SSH: keys of this machine alone, as OpenSSH writes them, each with its newline. */
typedef struct cloud_ssh {
  uint32_t struct_size;
  const char* authorized_key; /* who may log in as the job's user */
  const char* host_key;       /* private; for the machine's sshd */
  const char* host_key_public;
} cloud_ssh;

/* All that a backend needs to know of a machine. In prepare() the job's cgroup does not exist yet:
 * cpu_count, cpus, memory_bytes and cgroup are 0 or "". */
typedef struct cloud_machine_spec {
  uint32_t struct_size;
  uint32_t cpu_count;
  uint64_t memory_bytes;
  uint64_t job_id;
  const char* name;     /* [a-z0-9-]{1,63}, unique on the node; no other is taken */
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
  const cloud_ssh* ssh;  /* CLOUD_CAP_SSH; NULL in prepare() */
  const char* user_data; /* cloud-init user-data of the job's user, or "" */
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
  int64_t main_pid;     /* the process whose end is the machine's end; 0 where none is known */
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
  const cloud_option* image_options; /* what [image.NAME] may say to this backend */
  size_t image_option_count;
  const char*
      image_formats; /* separated by blanks: "directory squashfs"; the first is the default */

  int32_t (*open)(const cloud_host* host, const cloud_setting* settings, size_t count,
                  cloud_backend** out, cloud_error* err);
  void (*close)(cloud_backend* self);
  /* Whether this node can run machines of this kind at all. Milliseconds. */
  int32_t (*probe)(cloud_backend* self, cloud_error* err);
  /* All that can fail early and all that is slow to undo. Called by the prolog: milliseconds. */
  int32_t (*prepare)(cloud_backend* self, const cloud_machine_spec* spec, cloud_error* err);
  /* Starts the machine with every process of it below spec->cgroup from its first page. A second
   * start of a machine that runs fails (CLOUD_E_NODE) and leaves that one running. */
  int32_t (*start)(cloud_backend* self, const cloud_machine_spec* spec, int64_t deadline_ns,
                   cloud_error* err);
  /* Returns when tasks can run inside; with CLOUD_CAP_SSH already when the machine runs, as the
   * engine itself waits for an answer of its sshd. progress gets one line per phase reached; it may
   * be NULL. */
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
   * Idempotent: CLOUD_OK where nothing of that name is left. Never cancelled. */
  int32_t (*destroy)(cloud_backend* self, const cloud_machine_ref* ref, int64_t deadline_ns,
                     cloud_error* err);
  /* Visits every machine of this backend's on the node that carries our mark. */
  int32_t (*list)(cloud_backend* self, void (*visit)(void* context, const char* name),
                  void* context, cloud_error* err);
  /* CLOUD_CAP_CONSOLE: *fd becomes a stream, the caller's to close, that carries what the machine
   * prints from its first byte and takes what is typed. One reader at a time: the engine's keeper
   * asks right after start(), in the same process. NULL without the capability. */
  int32_t (*console)(cloud_backend* self, const cloud_machine_ref* ref, int32_t* fd,
                     cloud_error* err);
} cloud_backend_v1;

/* A backend's one export. Declared here so that every definition is visible. */
__attribute__((visibility("default"))) const cloud_backend_v1* cloud_backend_entry_v1(void);

#ifdef __cplusplus
}
#endif

#endif
