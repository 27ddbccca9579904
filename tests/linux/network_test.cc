// The network card under Debian's own driver: the guest gets its addresses, fetches a file from a
// server of this host and is reached by it, and all of that is repeated without any network. No
// packet leaves the host's loopback interface.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "linux/content.h"
#include "linux/linux_guest.h"
#include "linux/recorded_run.h"
#include "support/file_server.h"
#include "support/host.h"

namespace ringside::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Stream = ChildProcess::Stream;

sockaddr_in6 loopback6(std::uint16_t port) {
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_addr = in6addr_loopback;
  address.sin6_port = htons(port);
  return address;
}

std::string receive_all(int socket) {
  std::string text;
  char room[65536];
  for (;;) {
    const ssize_t count = ::recv(socket, room, sizeof room, 0);
    if (count <= 0) return text;
    text.append(room, static_cast<std::size_t>(count));
  }
}

// That nobody had a moment ago.
std::uint16_t free_port() {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  EXPECT_EQ(::bind(socket, generic, size), 0);
  EXPECT_EQ(::getsockname(socket, generic, &size), 0);
  ::close(socket);
  return ntohs(address.sin_port);
}

template <typename Address>
std::string ask(const Address& address, std::string_view request) {
  const auto* const generic = reinterpret_cast<const sockaddr*>(&address);
  const int socket = ::socket(generic->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval patience{120, 0};
  ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  std::string answer;
  if (::connect(socket, generic, sizeof address) == 0 && send_all(socket, request))
    answer = receive_all(socket);
  ::close(socket);
  return answer;
}

class LinuxNetwork : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!files_.missing().empty()) GTEST_SKIP() << files_.missing();
  }

  const LinuxFiles files_{"cloud-amd64"};
};

TEST_F(LinuxNetwork, FetchesIsReachedAndIsRepeatedWithoutAny) {
  const RecordedRun run(::testing::TempDir() + "ringside-network-" + std::to_string(::getpid()) +
                        ".journal");
  const std::uint16_t port = free_port();
  std::string network = "user,forward=tcp:127.0.0.1:" + std::to_string(port) + ":80";
  const bool has_ipv6 = host::no_ipv6().empty();
  if (has_ipv6) network += ",forward=tcp:[::1]:" + std::to_string(port) + ":80";
  const LinuxOptions options{.cpus = 2, .arguments = {"--net", network}};
  LinuxGuest guest(files_, run.recorded(options));
  {
    const std::string content = scrambled(3 << 20);
    const FileServer server(content);
    LinuxShell& shell = guest.shell();
    shell.await_prompt();
    shell.join_network();
    EXPECT_THAT(shell.output_of("ip address show dev eth0"), HasSubstr("inet 10.0.2.15/24"));
    EXPECT_EQ(shell.output_of("cat /sys/class/net/eth0/mtu"), "65520\n");
    EXPECT_EQ(shell.output_of("hostname"), "ringside\n");
    shell.output_of("ping -c 3 10.0.2.2");
    // By the address that the router of the network gives (RFC 4862), once nobody else has it.
    shell.output_of("until ip -6 route | grep -q default; do usleep 10000; done");
    shell.output_of("until ping6 -c 1 fec0::2; do usleep 10000; done");
    EXPECT_THAT(shell.output_of("ip -6 address show dev eth0"), HasSubstr("inet6 fec0::"));
    EXPECT_THAT(shell.output_of("wget -q -O - " + server.url() + " | sha256sum"),
                HasSubstr(digest(content)));
    EXPECT_NE(shell.run("wget -q -O - http://10.0.2.2:1/").status, 0);
    shell.output_of("mkdir /tmp/www && echo 'from inside' >/tmp/www/page && httpd -h /tmp/www");
    constexpr std::string_view kRequest = "GET /page HTTP/1.0\r\n\r\n";
    EXPECT_THAT(ask(loopback(port), kRequest), HasSubstr("\r\n\r\nfrom inside\n"));
    if (has_ipv6) {
      EXPECT_THAT(ask(loopback6(port), kRequest), HasSubstr("\r\n\r\nfrom inside\n"));
    }
    EXPECT_THAT(shell.output_of("dmesg"), Not(HasSubstr("eth0: bad")));
    EXPECT_EQ(shell.end("poweroff -f"), 1);
  }
  run.expect_repetition(files_, options, guest.process());
}

}  // namespace
}  // namespace ringside::testing
