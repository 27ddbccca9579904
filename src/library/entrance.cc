#include "library/entrance.h"

#include <sys/random.h>

#include <array>
#include <utility>

#include "base/hex.h"

namespace ringside {
namespace {

// 128 bits in hexadecimal. Empty, which admits nobody, where the system has none.
std::string draw_token() {
  std::array<std::byte, 16> bytes;
  const ssize_t size = ::getrandom(bytes.data(), bytes.size(), 0);
  return size == static_cast<ssize_t>(bytes.size()) ? to_hex(bytes) : std::string();
}

std::string token_of(const Admission& admission) {
  if (admission.allow != Allow::Any) return {};
  return admission.token.empty() ? draw_token() : admission.token;
}

}  // namespace

Entrance::Entrance(EventLoop& loop, transport::SingleClient& client,
                   std::function<debug::Abilities()> abilities)
    : token_(token_of(client.doorman().admission())),
      reception_(
          loop, client.doorman().refusals(),
          [&client](transport::Connection connection) { client.come(std::move(connection)); }),
      strangers_(loop, client.doorman().refusals(), token_, std::move(abilities)) {
  client.set_reception([this](transport::Connection connection, const transport::Peer& peer) {
    if (peer.where == transport::Peer::Where::ThisHost) {
      reception_.take(std::move(connection));
    } else {
      strangers_.take(std::move(connection), peer.address);
    }
  });
}

}  // namespace ringside
