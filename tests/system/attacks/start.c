/* SPDX-License-Identifier: Apache-2.0
 *
 * start FOLDER: run as a user, takes part in the start of that user's next container on this node
 * (F1 of SECURITY.md). liblxc's child, already root of the machine and not yet its init, talks with
 * root's monitor over a pair of sockets. Whoever may trace the child stops it where it says that it
 * wants mounts with mapped ids (its message 3), takes its socket, and asks the monitor in its place
 * for one of FOLDER, a folder of root's, that maps root's files to the user. Prints "ready",
 * "seized PID" for each child that it could trace, and "root's: FILE" where it then made a file of
 * root's; ends with that, or by SIGTERM. */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { kMountsMessage = 3, kMostPids = 1 << 22, kMostDescriptors = 256 };

static volatile sig_atomic_t is_over;
static bool known[kMostPids];
/* The folder's mount, which nobody has mapped yet, and a user namespace in which its root is this
 * user. */
static int tree_fd, userns_fd;

static void end(int number) {
  (void)number;
  is_over = 1;
}

static void die(const char* what) {
  perror(what);
  exit(2);
}

static void write_text(const char* path, const char* text) {
  const int file = open(path, O_WRONLY | O_CLOEXEC);
  if (file < 0 || write(file, text, strlen(text)) < 0) die(path);
  close(file);
}

/* In namespaces of its own anybody may clone a mount. */
static void prepare(const char* folder) {
  const unsigned uid = getuid(), gid = getgid();
  int ends[2], numbers[2];
  if (pipe(ends) != 0) die("pipe");
  const pid_t parent = getpid(), helper = fork();
  if (helper < 0) die("fork");
  if (helper == 0) {
    char map[64];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) die("unshare");
    write_text("/proc/self/setgroups", "deny");
    snprintf(map, sizeof map, "0 %u 1", uid);
    write_text("/proc/self/uid_map", map);
    snprintf(map, sizeof map, "0 %u 1", gid);
    write_text("/proc/self/gid_map", map);
    numbers[0] = (int)syscall(SYS_open_tree, AT_FDCWD, folder, OPEN_TREE_CLONE);
    numbers[1] = open("/proc/self/ns/user", O_RDONLY);
    if (write(ends[1], numbers, sizeof numbers) < 0) die("write");
    for (;;) pause();
  }
  if (read(ends[0], numbers, sizeof numbers) != sizeof numbers || numbers[0] < 0) die(folder);
  const int process = (int)syscall(SYS_pidfd_open, helper, 0);
  tree_fd = (int)syscall(SYS_pidfd_getfd, process, numbers[0], 0);
  userns_fd = (int)syscall(SYS_pidfd_getfd, process, numbers[1], 0);
  if (tree_fd < 0 || userns_fd < 0) die("pidfd_getfd");
  close(process);
}

/* The two descriptors, as the child would send them. */
static void ask_for_a_mapped_mount(int sock) {
  char byte = 0;
  const int fds[2] = {tree_fd, userns_fd};
  union {
    char bytes[CMSG_SPACE(sizeof fds)];
    struct cmsghdr align;
  } control = {0};
  struct iovec data = {&byte, 1};
  struct msghdr message = {.msg_iov = &data,
                           .msg_iovlen = 1,
                           .msg_control = control.bytes,
                           .msg_controllen = sizeof control.bytes};
  struct cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof fds);
  memcpy(CMSG_DATA(header), fds, sizeof fds);
  sendmsg(sock, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* On every socket of the child's but the one on which it says how far it is. */
static void speak_for(pid_t child, int but) {
  const int process = (int)syscall(SYS_pidfd_open, child, 0);
  for (int fd = 0; fd < kMostDescriptors; ++fd) {
    const int taken = fd == but ? -1 : (int)syscall(SYS_pidfd_getfd, process, fd, 0);
    int domain = 0;
    socklen_t size = sizeof domain;
    if (taken >= 0 && getsockopt(taken, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 &&
        domain == AF_UNIX)
      ask_for_a_mapped_mount(taken);
    if (taken >= 0) close(taken);
  }
  close(process);
}

static bool makes_a_file_of_roots(const char* folder) {
  char path[4096];
  snprintf(path, sizeof path, "%s/made-by-%d", folder, (int)getpid());
  for (int round = 0; round < 300 && is_over == 0; ++round) {
    struct stat status;
    const int file = openat(tree_fd, strrchr(path, '/') + 1, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    if (file >= 0) close(file);
    if (file >= 0 && stat(path, &status) == 0 && status.st_uid == 0) {
      printf("root's: %s\n", path);
      return true;
    }
    usleep(10000);
  }
  return false;
}

/* Whether the child, which is traced, came to its message 3: there it is held, and spoken for. */
static bool follow(pid_t child) {
  int status;
  ptrace(PTRACE_INTERRUPT, child, 0, 0);
  while (waitpid(child, &status, __WALL) == child && WIFSTOPPED(status)) {
    struct __ptrace_syscall_info info = {0};
    const int number = WSTOPSIG(status);
    if (number == (SIGTRAP | 0x80))
      ptrace(PTRACE_GET_SYSCALL_INFO, child, (void*)sizeof info, &info);
    if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
      const long word = info.entry.nr == SYS_write && info.entry.args[2] == sizeof(int)
                            ? ptrace(PTRACE_PEEKDATA, child, (void*)info.entry.args[1], 0)
                            : -1;
      const bool is_moment = (int)word == kMountsMessage;
      if (is_moment) speak_for(child, (int)info.entry.args[0]);
      if (is_moment || info.entry.nr == SYS_execve) {
        ptrace(PTRACE_DETACH, child, 0, 0);
        return is_moment;
      }
    }
    const bool is_ours = number == (SIGTRAP | 0x80) || (status >> 16) != 0;
    ptrace(PTRACE_SYSCALL, child, 0, is_ours ? 0 : number);
  }
  return false;
}

/* Whatever is not this user's own and can be traced nevertheless. */
static bool try_all(const char* folder) {
  DIR* proc = opendir("/proc");
  if (proc == NULL) die("/proc");
  bool done = false;
  for (struct dirent* entry = readdir(proc); entry != NULL && !done; entry = readdir(proc)) {
    struct stat status;
    const pid_t pid = isdigit((unsigned char)entry->d_name[0]) ? atoi(entry->d_name) : 0;
    if (pid <= 0 || pid >= kMostPids || known[pid]) continue;
    if (fstatat(dirfd(proc), entry->d_name, &status, 0) != 0 || status.st_uid == getuid()) continue;
    if (ptrace(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACESYSGOOD) != 0) continue;
    known[pid] = true;
    printf("seized %d\n", (int)pid);
    done = follow(pid) && makes_a_file_of_roots(folder);
  }
  closedir(proc);
  return done;
}

int main(int argc, char** argv) {
  if (argc != 2) return fprintf(stderr, "usage: start FOLDER\n"), 2;
  setvbuf(stdout, NULL, _IOLBF, 0);
  const struct sigaction action = {.sa_handler = end};
  sigaction(SIGTERM, &action, NULL);
  prepare(argv[1]);
  printf("ready\n");
  while (is_over == 0 && !try_all(argv[1])) {
  }
  return 0;
}
