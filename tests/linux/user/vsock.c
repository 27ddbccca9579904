// A connection by AF_VSOCK on standard input and output: what is read there is sent, then the end
// of it is said, and what comes is written until the other end is there too.
//   vsock connect CID PORT
//   vsock listen PORT        the first connection that comes
#include <errno.h>
#include <linux/vm_sockets.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void die(const char* what) {
  printf("vsock: %s: %s\n", what, strerror(errno));
  exit(1);
}

static void write_all(int file, const char* bytes, ssize_t size) {
  while (size > 0) {
    const ssize_t done = write(file, bytes, (size_t)size);
    if (done < 0) die("write");
    bytes += done;
    size -= done;
  }
}

// False: there was the end.
static int carry(int from, int to) {
  static char bytes[65536];
  const ssize_t size = read(from, bytes, sizeof bytes);
  if (size < 0) die("read");
  write_all(to, bytes, size);
  return size > 0;
}

static int open_connection(int argc, char** argv) {
  const int is_listener = argc == 3 && strcmp(argv[1], "listen") == 0;
  if (!is_listener && (argc != 4 || strcmp(argv[1], "connect") != 0)) {
    puts("usage: vsock connect CID PORT | vsock listen PORT");
    exit(2);
  }
  struct sockaddr_vm address = {.svm_family = AF_VSOCK};
  address.svm_cid = is_listener ? VMADDR_CID_ANY : (unsigned)strtoul(argv[2], NULL, 10);
  address.svm_port = (unsigned)strtoul(argv[argc - 1], NULL, 10);
  const int made = socket(AF_VSOCK, SOCK_STREAM, 0);
  if (made < 0) die("socket");
  if (!is_listener) {
    if (connect(made, (struct sockaddr*)&address, sizeof address) != 0) die("connect");
    return made;
  }
  if (bind(made, (struct sockaddr*)&address, sizeof address) != 0) die("bind");
  if (listen(made, 1) != 0) die("listen");
  const int connection = accept(made, NULL, NULL);
  if (connection < 0) die("accept");
  return connection;
}

int main(int argc, char** argv) {
  const int connection = open_connection(argc, argv);
  struct pollfd waits[] = {{STDIN_FILENO, POLLIN, 0}, {connection, POLLIN, 0}};
  while (waits[1].fd >= 0) {
    if (poll(waits, 2, -1) < 0) die("poll");
    if (waits[0].revents != 0 && !carry(STDIN_FILENO, connection)) {
      waits[0].fd = -1;
      shutdown(connection, SHUT_WR);
    }
    if (waits[1].revents != 0 && !carry(connection, STDOUT_FILENO)) waits[1].fd = -1;
  }
  return 0;
}
