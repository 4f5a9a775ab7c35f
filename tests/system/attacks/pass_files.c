// SPDX-License-Identifier: Apache-2.0
// pass_files: in a machine, hands descriptors of its memory and disk to who listens at "hand-over"
// in the folder. `pass_files FOLDER` makes that folder, hands it over alone, and stays until there
// is a file "swapping".
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int must(int result, const char* what) {
  if (result < 0) {
    perror(what);
    exit(1);
  }
  return result;
}

static int make_folder(const char* path) {
  must(mkdir(path, 0755), path);
  return must(open(path, O_RDONLY | O_DIRECTORY), path);
}

static void hand_over(const int* files, int count) {
  const size_t size = (size_t)count * sizeof *files;
  const int to = must(socket(AF_UNIX, SOCK_STREAM, 0), "socket");
  struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "hand-over"};
  must(connect(to, (struct sockaddr*)&address, sizeof address), "connect");
  union {
    char bytes[CMSG_SPACE(3 * sizeof(int))];
    struct cmsghdr header;
  } control = {0};
  char byte = 'f';
  struct iovec data = {&byte, 1};
  struct msghdr message = {.msg_iov = &data,
                           .msg_iovlen = 1,
                           .msg_control = control.bytes,
                           .msg_controllen = CMSG_SPACE(size)};
  control.header.cmsg_level = SOL_SOCKET;
  control.header.cmsg_type = SCM_RIGHTS;
  control.header.cmsg_len = CMSG_LEN(size);
  memcpy(CMSG_DATA(&control.header), files, size);
  must((int)sendmsg(to, &message, 0), "sendmsg");
  puts("passed");
}

int main(int argc, char** argv) {
  static char block[1 << 20];
  int files[3];
  if (argc == 2) {
    files[0] = make_folder(argv[1]);
    hand_over(files, 1);
    while (access("swapping", F_OK) != 0) usleep(10000);
    return 0;
  }
  memset(block, 'x', sizeof block);
  files[0] = must(open("/dev/shm/big", O_CREAT | O_RDWR, 0600), "/dev/shm/big");
  for (int i = 0; i < 30; ++i) must((int)write(files[0], block, sizeof block), "write");
  must(mkdir("/tmp/folder", 0700), "mkdir");
  files[1] = must(open("/tmp/folder/file", O_CREAT | O_RDWR, 0600), "/tmp/folder/file");
  files[2] = must(open("/tmp", O_RDONLY | O_DIRECTORY), "/tmp");
  hand_over(files, 3);
  return 0;
}
