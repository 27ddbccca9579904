// Whose the other end of a connection is: what the kernel's answers mean, and the real kernel's.
#include "transport/socket_owner.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "transport/listener.h"
#include "transport/testing/client.h"

namespace ringside::transport {
namespace {

struct Answer {
  nlmsghdr header{sizeof(nlmsghdr) + sizeof(inet_diag_msg), SOCK_DIAG_BY_FAMILY, 0, 7, 0};
  inet_diag_msg socket{};
  nlmsgerr error{};

  std::vector<std::byte> bytes() const {
    std::vector<std::byte> result(header.nlmsg_len);
    std::memcpy(result.data(), &header, sizeof header);
    if (header.nlmsg_type == NLMSG_ERROR) {
      std::memcpy(result.data() + sizeof header, &error, sizeof error);
    } else {
      std::memcpy(result.data() + sizeof header, &socket, sizeof socket);
    }
    return result;
  }
};

const TcpEnds kEnds{address("::ffff:127.0.0.1"), address("::ffff:127.0.0.1"), 1234, 40000, 0};

// An open socket of user 1000 at the other end of kEnds.
Answer found() {
  Answer answer;
  answer.socket.idiag_family = AF_INET;
  answer.socket.idiag_state = TCP_ESTABLISHED;
  answer.socket.idiag_uid = 1000;
  answer.socket.idiag_inode = 5;
  answer.socket.id.idiag_sport = htons(40000);
  answer.socket.id.idiag_dport = htons(1234);
  answer.socket.id.idiag_src[0] = answer.socket.id.idiag_dst[0] = htonl(INADDR_LOOPBACK);
  return answer;
}

std::string read(const Answer& answer, const TcpEnds& ends = kEnds) {
  const auto owner = read_owner(answer.bytes(), ends, 7);
  if (!owner) return owner.error().text();
  return owner->owner ? std::to_string(*owner->owner) : "nobody";
}

TEST(SocketOwner, IsTheUserOfAnOpenSocket) {
  Answer answer = found();
  for (const int state : {TCP_ESTABLISHED, TCP_FIN_WAIT2, TCP_CLOSE_WAIT}) {
    answer.socket.idiag_state = static_cast<std::uint8_t>(state);
    EXPECT_EQ(read(answer), "1000") << state;
  }
}

// The kernel says 0 for these, which is root's number.
TEST(SocketOwner, OfASocketThatWasClosedIsNobody) {
  Answer answer = found();
  answer.socket.idiag_uid = 0;
  answer.socket.idiag_inode = 0;
  for (const int state : {TCP_FIN_WAIT1, TCP_FIN_WAIT2, TCP_TIME_WAIT, TCP_CLOSING, TCP_SYN_RECV}) {
    answer.socket.idiag_state = static_cast<std::uint8_t>(state);
    EXPECT_EQ(read(answer), "nobody") << state;
  }
}

// Where there is no such connection, the kernel gives a listening socket at that address.
TEST(SocketOwner, OfAListeningSocketIsNobody) {
  Answer answer = found();
  answer.socket.idiag_state = TCP_LISTEN;
  EXPECT_EQ(read(answer), "nobody");
  answer.socket.idiag_state = TCP_SYN_SENT;
  EXPECT_EQ(read(answer), "nobody");
}

TEST(SocketOwner, OfAnotherConnectionIsNobody) {
  const auto expect_nobody = [](void (*change)(inet_diag_sockid&)) {
    Answer answer = found();
    change(answer.socket.id);
    EXPECT_EQ(read(answer), "nobody");
  };
  expect_nobody([](inet_diag_sockid& id) { id.idiag_sport = htons(40001); });
  expect_nobody([](inet_diag_sockid& id) { id.idiag_dport = htons(1235); });
  expect_nobody([](inet_diag_sockid& id) { id.idiag_src[0] = htonl(INADDR_LOOPBACK + 1); });
  expect_nobody([](inet_diag_sockid& id) { id.idiag_dst[0] = 0; });
}

// A socket of IPv6 that is connected by IPv4 has its addresses in IPv6's form.
TEST(SocketOwner, IsFoundInEitherForm) {
  Answer answer = found();
  answer.socket.idiag_family = AF_INET6;
  const in6_addr loopback = address("::ffff:127.0.0.1");
  std::memcpy(answer.socket.id.idiag_src, &loopback, sizeof loopback);
  std::memcpy(answer.socket.id.idiag_dst, &loopback, sizeof loopback);
  EXPECT_EQ(read(answer), "1000");
  const in6_addr v6 = address("::1");
  std::memcpy(answer.socket.id.idiag_src, &v6, sizeof v6);
  std::memcpy(answer.socket.id.idiag_dst, &v6, sizeof v6);
  EXPECT_EQ(read(answer), "nobody");
  EXPECT_EQ(read(answer, {v6, v6, 1234, 40000, 0}), "1000");
}

TEST(SocketOwner, AnErrorIsOneUnlessThereIsNoSuchSocket) {
  Answer answer;
  answer.header.nlmsg_type = NLMSG_ERROR;
  answer.header.nlmsg_len = sizeof(nlmsghdr) + sizeof(nlmsgerr);
  answer.error.error = -ENOENT;
  EXPECT_EQ(read(answer), "nobody");
  answer.error.error = -EPERM;
  EXPECT_EQ(read(answer), "the kernel does not say whose a socket is: Operation not permitted");
}

TEST(SocketOwner, AnAnswerThatIsNoneIsAnError) {
  const std::vector<std::byte> whole = found().bytes();
  for (std::size_t size = 0; size < whole.size(); ++size)
    EXPECT_FALSE(read_owner(std::span(whole).first(size), kEnds, 7)) << size;
  EXPECT_TRUE(read_owner(whole, kEnds, 7));
  EXPECT_FALSE(read_owner(whole, kEnds, 8)) << "an answer to another question";
  Answer answer = found();
  answer.header.nlmsg_type = NLMSG_DONE;
  EXPECT_FALSE(read_owner(answer.bytes(), kEnds, 7));
}

TEST(SocketOwner, TheQuestionNamesTheOtherEnd) {
  const auto request_in = [](const TcpEnds& ends) {
    const auto bytes = owner_question(ends, 9);
    inet_diag_req_v2 request{};
    std::memcpy(&request, bytes.data() + sizeof(nlmsghdr), sizeof request);
    return request;
  };
  const inet_diag_req_v2 v4 = request_in(kEnds);
  EXPECT_EQ(v4.sdiag_family, AF_INET);
  EXPECT_EQ(ntohs(v4.id.idiag_sport), 40000);
  EXPECT_EQ(ntohs(v4.id.idiag_dport), 1234);
  EXPECT_EQ(v4.id.idiag_src[0], htonl(INADDR_LOOPBACK));
  const inet_diag_req_v2 v6 = request_in({address("::1"), address("::1"), 1, 2, 3});
  EXPECT_EQ(v6.sdiag_family, AF_INET6);
  EXPECT_EQ(v6.id.idiag_if, 3u);
}

// The real kernel, over every pair of families.
class Asked : public ::testing::Test {
 protected:
  void connect(const char* listen_at, const char* to) {
    auto owners = SocketOwners::open();
    if (!owners) GTEST_SKIP() << owners.error().text();
    auto listener = Listener::open(TcpEndpoint{listen_at, 0});
    if (!listener) GTEST_SKIP() << listener.error().text();
    client_ = connect_to(TcpEndpoint{to, std::get<TcpEndpoint>(listener->endpoint()).port});
    ASSERT_TRUE(client_);
    auto accepted = listener->accept();
    ASSERT_TRUE(accepted);
    const auto ends = ends_of(accepted->input());
    ASSERT_TRUE(ends);
    EXPECT_TRUE(is_loopback(ends->other));
    const auto asked = owners->owner_of_other_end(*ends);
    ASSERT_TRUE(asked) << asked.error().text();
    EXPECT_EQ(*asked, ::geteuid());
    // Closed with its last words unread: a socket without an owner, of which the kernel says 0.
    ASSERT_EQ(::write(client_.get(), "x", 1), 1);
    client_.reset();
    const auto afterwards = ends_of(accepted->input());
    if (afterwards) {
      const auto owner = owners->owner_of_other_end(*afterwards);
      ASSERT_TRUE(owner);
      EXPECT_EQ(*owner, std::nullopt);
    }
  }
  Fd client_;
};

TEST_F(Asked, TheKernelKnowsIpv4) { connect("127.0.0.1", "127.0.0.1"); }
TEST_F(Asked, TheKernelKnowsIpv6) { connect("::1", "::1"); }
TEST_F(Asked, TheKernelKnowsIpv4AtASocketOfBoth) { connect("::", "127.0.0.1"); }
TEST_F(Asked, TheKernelKnowsIpv4OfASocketOfIpv6) { connect("127.0.0.1", "::ffff:127.0.0.1"); }

// Which of the two is asked: the list says of these ends, on 127.0.0.1, what the kernel does not.
class Listed : public ::testing::Test {
 protected:
  static constexpr uid_t kListed = 12345;

  static Result<SocketOwners> owners_with_list_of(const TcpEnds& ends) {
    Fd list(::memfd_create("list", MFD_CLOEXEC));
    const std::string line = fmt::format(
        "   0: 0100007F:{:04X} 0100007F:{:04X} 01 00000000:00000000 00:00000000 00000000 {} 0 5\n",
        ends.other_port, ends.own_port, kListed);
    EXPECT_EQ(::write(list.get(), line.data(), line.size()), static_cast<ssize_t>(line.size()));
    std::vector<Fd> files;
    files.push_back(std::move(list));
    return SocketOwners::open(SocketTable(std::move(files)));
  }

  // The listener is there, as it is while somebody is asked who he is.
  enum class Leaving : std::uint8_t { Closes, Resets };
  static void leave(Leaving how) {
    auto listener = Listener::open(TcpEndpoint{"127.0.0.1", 0});
    ASSERT_TRUE(listener) << listener.error().text();
    Fd client = connect_to(listener->endpoint());
    auto accepted = listener->accept();
    ASSERT_TRUE(accepted);
    const auto ends = ends_of(accepted->input());
    ASSERT_TRUE(ends);
    auto owners = owners_with_list_of(*ends);
    if (!owners) GTEST_SKIP() << owners.error().text();
    const auto present = owners->owner_of_other_end(*ends);
    if (present && *present == kListed) GTEST_SKIP() << "a kernel without tcp_diag";
    ASSERT_TRUE(present) << present.error().text();
    EXPECT_EQ(*present, ::geteuid());
    const linger at_once{1, 0};
    if (how == Leaving::Resets) {
      ASSERT_EQ(::setsockopt(client.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    }
    client.reset();
    const auto owner = owners->owner_of_other_end(*ends);
    ASSERT_TRUE(owner) << owner.error().text();
    EXPECT_EQ(*owner, std::nullopt);
  }
};

// A stranger who comes and goes at once would have all of a list read that he makes long.
TEST_F(Listed, IsNotReadForOneWhoHasGone) { leave(Leaving::Closes); }
TEST_F(Listed, IsNotReadForOneWhoHasEndedTheConnection) { leave(Leaving::Resets); }

// As of every connection where there is no tcp_diag: neither end is known.
TEST_F(Listed, IsReadWhereTheKernelKnowsNeitherEnd) {
  const TcpEnds nowhere{address("::ffff:127.0.0.1"), address("::ffff:127.0.0.1"), 1, 2, 0};
  auto owners = owners_with_list_of(nowhere);
  if (!owners) GTEST_SKIP() << owners.error().text();
  const auto owner = owners->owner_of_other_end(nowhere);
  ASSERT_TRUE(owner) << owner.error().text();
  EXPECT_EQ(*owner, kListed);
}

}  // namespace
}  // namespace ringside::transport
