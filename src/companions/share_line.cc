#include "companions/share_line.h"

#include <array>
#include <cerrno>
#include <utility>

#include "base/log.h"

namespace ringside::companions {
namespace {

// A 9P message begins with its size (4 bytes), its type (1) and its tag (2), which the answer has
// too. Rlerror goes on with the number of the error (4).
constexpr std::size_t kTagAt = 5;
constexpr std::uint16_t kNoTag = 0xffff;
constexpr std::uint8_t kRlerror = 7;

std::uint16_t tag_of(std::span<const std::byte> message) {
  if (message.size() < kTagAt + 2) return kNoTag;
  return static_cast<std::uint16_t>(std::to_integer<unsigned>(message[kTagAt]) |
                                    std::to_integer<unsigned>(message[kTagAt + 1]) << 8);
}

std::vector<std::byte> cannot(std::uint16_t tag) {
  const std::array<std::uint8_t, 11> message{
      11,  0, 0, 0, kRlerror, static_cast<std::uint8_t>(tag), static_cast<std::uint8_t>(tag >> 8),
      EIO, 0, 0, 0};
  const auto bytes = std::as_bytes(std::span(message));
  return {bytes.begin(), bytes.end()};
}

}  // namespace

ShareLine::ShareLine(transport::Poller& poller, Fd socket, std::string name, Answer answer)
    : name_(std::move(name)),
      answer_(std::move(answer)),
      channel_(
          poller, std::move(socket),
          {[] { return true; }, [this](std::vector<std::byte> bytes) { take(std::move(bytes)); },
           [this] { gone(); }}) {}

void ShareLine::request(std::span<const std::byte> bytes) {
  const std::lock_guard guard(lock_);
  tags_.push_back(tag_of(bytes));
  // One that takes nothing is as good as none. Its answers would come too late.
  if (!is_gone_ && !channel_.send(bytes)) is_gone_ = true;
}

void ShareLine::update() {
  channel_.update();
  std::deque<std::uint16_t> tags;
  {
    const std::lock_guard guard(lock_);
    if (is_gone_) tags.swap(tags_);
  }
  for (const std::uint16_t tag : tags)
    answer_(cannot(tag));
}

bool ShareLine::awaits_answer() {
  const std::lock_guard guard(lock_);
  return !tags_.empty();
}

// An answer to nothing would be taken for that to the next request.
void ShareLine::take(std::vector<std::byte> answer) {
  if (answer.empty()) return tell_that_directory_is_lost();
  {
    const std::lock_guard guard(lock_);
    if (is_gone_ || tags_.empty()) return;
    tags_.pop_front();
  }
  answer_(std::move(answer));
}

// Once, whatever the process sends.
void ShareLine::tell_that_directory_is_lost() {
  if (std::exchange(is_directory_lost_, true)) return;
  log::warning(
      "shared folder {}: somebody has removed it, and the guest gets errors; one that "
      "is made anew is shared by a new start",
      name_);
}

void ShareLine::gone() {
  log::warning("shared folder {}: the process that serves it is gone, and the guest gets errors",
               name_);
  const std::lock_guard guard(lock_);
  is_gone_ = true;
}

}  // namespace ringside::companions
