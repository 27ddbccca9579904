#include "support/other_host.h"

#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace ringside::testing {
namespace {

void check(bool done, const char* what) {
  if (!done) throw std::runtime_error(std::string(what) + ": " + std::strerror(errno));
}

Fd open_namespace() {
  Fd result(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  check(static_cast<bool>(result), "the network namespace");
  return result;
}

void bring_loopback_up(int socket) {
  ifreq request{};
  std::string("lo").copy(request.ifr_name, sizeof request.ifr_name - 1);
  request.ifr_flags = IFF_UP;
  check(::ioctl(socket, SIOCSIFFLAGS, &request) == 0, "lo up");
}

}  // namespace

OtherHost::OtherHost() : here_(open_namespace()) {
  check(::unshare(CLONE_NEWNET) == 0, "unshare");
  there_ = open_namespace();
  const Stay stay(*this);
  socket_ = Fd(::socket(AF_INET, SOCK_STREAM, 0));
  bring_loopback_up(socket_.get());
  sockaddr_in name{};
  name.sin_family = AF_INET;  // every address, so that it is one that other hosts reach
  socklen_t size = sizeof name;
  auto* const any = reinterpret_cast<sockaddr*>(&name);
  check(::bind(socket_.get(), any, size) == 0, "bind");
  check(::listen(socket_.get(), 4) == 0, "listen");
  check(::getsockname(socket_.get(), any, &size) == 0, "getsockname");
  port_ = ntohs(name.sin_port);
}

OtherHost::Stay::Stay(const OtherHost& host) : host_(host) {
  check(::setns(host_.there_.get(), CLONE_NEWNET) == 0, "setns");
}

OtherHost::Stay::~Stay() { ::setns(host_.here_.get(), CLONE_NEWNET); }

GuestOptions OtherHost::options(std::vector<std::string> arguments) const {
  arguments.insert(arguments.begin(), {"-G", "fd:" + std::to_string(socket_.get())});
  return {.start = GuestOptions::Start::WithoutDebug, .arguments = std::move(arguments)};
}

std::string OtherHost::token_in(ChildProcess& program) {
  constexpr std::string_view kBefore = "monitor auth ";
  const std::string line = program.await_line(ChildProcess::Stream::Error, "gdb: on another host");
  const std::size_t begin = line.find(kBefore) + kBefore.size();
  return line.substr(begin, line.find(',', begin) - begin);
}

}  // namespace ringside::testing
