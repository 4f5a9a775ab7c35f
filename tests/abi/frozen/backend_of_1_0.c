// SPDX-License-Identifier: Apache-2.0
//
// A backend as somebody may have built it against ABI 1.0, in C: compiled against the frozen header
// beside it, never against the one of today. Its machines are files in a folder.
#include <dirent.h>
#include <errno.h>
#include <spank-cloud/backend_abi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct cloud_backend {
  char registry[2000];
};

static int32_t fail(cloud_error* err, int32_t code, const char* what, const char* name) {
  err->code = code;
  err->os_errno = errno;
  snprintf(err->message, sizeof err->message, "%s '%.80s'", what, name);
  for (char* c = err->message; *c != '\0'; ++c) {
    if ((unsigned char)*c < 0x20 || *c == 0x7f) *c = ' ';
  }
  return code;
}

static int is_name(const char* name) {
  const size_t size = strlen(name);
  return size > 0 && size < 64 && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == size;
}

static int32_t mark_of(const struct cloud_backend* self, const char* name, char* path, size_t size,
                       cloud_error* err) {
  errno = 0;
  if (!is_name(name)) return fail(err, CLOUD_E_REQUEST, "bad machine name", name);
  snprintf(path, size, "%s/%s", self->registry, name);
  return CLOUD_OK;
}

static char state_of(const struct cloud_backend* self, const char* name) {
  char path[2100];
  cloud_error ignored;
  if (mark_of(self, name, path, sizeof path, &ignored) != CLOUD_OK) return 'a';
  FILE* file = fopen(path, "r");
  if (file == NULL) return 'a';
  const int state = fgetc(file);
  fclose(file);
  return state == 'r' ? 'r' : 'p';
}

static int32_t put_state(const struct cloud_backend* self, const char* name, char state,
                         cloud_error* err) {
  char path[2100];
  const int32_t code = mark_of(self, name, path, sizeof path, err);
  if (code != CLOUD_OK) return code;
  FILE* file = fopen(path, "w");
  if (file == NULL) return fail(err, CLOUD_E_NODE, "cannot write the mark of", name);
  fputc(state, file);
  fclose(file);
  return CLOUD_OK;
}

static int32_t open_backend(const cloud_host* host, const cloud_setting* settings, size_t count,
                            cloud_backend** out, cloud_error* err) {
  struct cloud_backend* self = calloc(1, sizeof *self);
  if (self == NULL) return fail(err, CLOUD_E_NODE, "out of", "memory");
  for (size_t i = 0; i < count; ++i) {
    if (strcmp(settings[i].key, "registry") != 0) continue;
    snprintf(self->registry, sizeof self->registry, "%s", settings[i].string);
  }
  mkdir(self->registry, 0755);
  if (CLOUD_HAS(host, log) && host->log != NULL) {
    host->log(host->context, CLOUD_DEBUG, "a backend of ABI 1.0 is open");
  }
  *out = self;
  return CLOUD_OK;
}

static void close_backend(cloud_backend* self) {
  free(self);
}

static int32_t probe(cloud_backend* self, cloud_error* err) {
  if (access(self->registry, W_OK) == 0) return CLOUD_OK;
  return fail(err, CLOUD_E_CONFIG, "cannot write to", self->registry);
}

static int32_t prepare(cloud_backend* self, const cloud_machine_spec* spec, cloud_error* err) {
  return put_state(self, spec->name, 'p', err);
}

static int32_t start(cloud_backend* self, const cloud_machine_spec* spec, int64_t deadline_ns,
                     cloud_error* err) {
  (void)deadline_ns;
  errno = 0;
  if (state_of(self, spec->name) != 'p')
    return fail(err, CLOUD_E_NODE, "not prepared:", spec->name);
  return put_state(self, spec->name, 'r', err);
}

static int32_t wait_ready(cloud_backend* self, const cloud_machine_ref* ref, int64_t deadline_ns,
                          void (*progress)(void* context, const char* phase), void* context,
                          cloud_error* err) {
  (void)deadline_ns;
  errno = 0;
  if (state_of(self, ref->name) != 'r')
    return fail(err, CLOUD_E_NOT_FOUND, "no machine", ref->name);
  if (progress != NULL) progress(context, "ready");
  return CLOUD_OK;
}

static int32_t info(cloud_backend* self, const cloud_machine_ref* ref, cloud_machine_info* out,
                    cloud_error* err) {
  (void)err;
  const char state = state_of(self, ref->name);
  out->state = state == 'r' ? CLOUD_RUNNING : state == 'p' ? CLOUD_PREPARED : CLOUD_ABSENT;
  return CLOUD_OK;
}

static int32_t stop(cloud_backend* self, const cloud_machine_ref* ref, int64_t deadline_ns,
                    cloud_error* err) {
  (void)deadline_ns;
  return state_of(self, ref->name) == 'r' ? put_state(self, ref->name, 'p', err) : CLOUD_OK;
}

static int32_t destroy(cloud_backend* self, const cloud_machine_ref* ref, int64_t deadline_ns,
                       cloud_error* err) {
  (void)deadline_ns;
  char path[2100];
  const int32_t code = mark_of(self, ref->name, path, sizeof path, err);
  if (code == CLOUD_OK) unlink(path);
  return code;
}

static int32_t list(cloud_backend* self, void (*visit)(void* context, const char* name),
                    void* context, cloud_error* err) {
  (void)err;
  DIR* folder = opendir(self->registry);
  if (folder == NULL) return CLOUD_OK;
  for (struct dirent* entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
    if (entry->d_name[0] != '.') visit(context, entry->d_name);
  }
  closedir(folder);
  return CLOUD_OK;
}

static const cloud_option options[] = {
    {"registry", CLOUD_STRING, 1, NULL, "The folder in which every machine has a mark."}};

static const cloud_backend_v1 table = {
    .struct_size = sizeof(cloud_backend_v1),
    .abi_minor = CLOUD_ABI_MINOR,
    .name = "of_1_0",
    .version = "1.0.0",
    .options = options,
    .option_count = 1,
    .image_formats = "directory",
    .open = open_backend,
    .close = close_backend,
    .probe = probe,
    .prepare = prepare,
    .start = start,
    .wait_ready = wait_ready,
    .info = info,
    .stop = stop,
    .destroy = destroy,
    .list = list,
};

const cloud_backend_v1* cloud_backend_entry_v1(void) {
  return &table;
}
