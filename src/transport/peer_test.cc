// Who may connect.
#include "transport/peer.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"

namespace ringside::transport {
namespace {

using Where = Peer::Where;

std::string judged(const Peer& peer, Allow allow = Allow::SameUser,
                   const Self& self = {1000, std::nullopt}) {
  const Result<void> result = judge(peer, {allow, {}, "--open"}, self);
  return result ? "may" : result.error().text();
}
Peer user(uid_t number) { return {Where::ThisHost, number, {}, {}}; }

TEST(WhoMayConnect, TheSameUserAndRoot) {
  EXPECT_EQ(judged(user(1000)), "may");
  EXPECT_EQ(judged(user(0)), "may");
  EXPECT_EQ(judged(user(1001)),
            "a client of user 1001 was refused: only user 1000 and root of this host may connect "
            "(--open admits others)");
  EXPECT_EQ(judged(user(1001), Allow::Any), "may");
  EXPECT_EQ(judged(user(1000), Allow::SameUser, {0, std::nullopt}),
            "a client of user 1000 was refused: only root of this host may connect (--open admits "
            "others)");
}

TEST(WhoMayConnect, NobodyOfAnotherUserNamespace) {
  EXPECT_NE(judged(user(65534), Allow::SameUser, {65534, 65534}), "may");
  EXPECT_EQ(judged(user(65534), Allow::SameUser, {65534, std::nullopt}), "may");
}

TEST(WhoMayConnect, NobodyWhoIsNotKnown) {
  const Peer closed{Where::Elsewhere, {}, "its end is closed already", "127.0.0.1"};
  EXPECT_EQ(judged(closed).substr(0, 67),
            "a client whose user is not known (its end is closed already) was re");
  const Peer far{Where::Elsewhere, {}, {}, "192.0.2.1"};
  EXPECT_EQ(judged(far).substr(0, 52), "a client of another host, 192.0.2.1, was refused: on");
  EXPECT_EQ(judged(far, Allow::Any), "may") << "it still has to say the token";
}

// Whose connection is over has no address any more that means anything.
TEST(WhoMayConnect, NobodyWhoHasGone) {
  EXPECT_NE(judged({Where::Gone, {}, "it has gone already", {}}, Allow::Any), "may");
}

TEST(WhoMayConnect, AUserMapThatIsWholeHasNoStrangers) {
  EXPECT_TRUE(maps_all_users("         0          0 4294967295\n"));
  EXPECT_TRUE(maps_all_users("0 0 1000\n1000 1000 4294966295\n"));
  EXPECT_FALSE(maps_all_users("         0       1000          1\n"));
  EXPECT_FALSE(maps_all_users(""));
}

TEST(PeerOf, AUnixSocketIsWhoConnected) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  const Fd first(ends[0]), second(ends[1]);
  const Peer peer = peer_of(first.get(), nullptr, "");
  EXPECT_EQ(peer.where, Where::ThisHost);
  EXPECT_EQ(peer.user, ::geteuid());
}

}  // namespace
}  // namespace ringside::transport
