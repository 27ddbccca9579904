#include "library/reception.h"

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "rsp/framing.h"

namespace ringside {
namespace {

constexpr std::size_t kFirstBytes = 16;

// For the log: nothing that a terminal would obey.
std::string printable(std::string_view bytes) {
  std::string text;
  for (const char c : bytes)
    text += c < ' ' || c > '~' ? '.' : c;
  return text;
}

}  // namespace

class Reception::Place {
 public:
  Place(EventLoop& loop, transport::Connection connection,
        std::chrono::steady_clock::time_point since)
      : loop_(loop), connection_(std::move(connection)), since_(since) {}
  ~Place() {
    if (connection_) loop_.remove(connection_->input());
  }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

  std::chrono::steady_clock::time_point since() const { return since_; }
  transport::Connection& connection() { return *connection_; }
  transport::Connection release() {
    loop_.remove(connection_->input());
    return *std::exchange(connection_, std::nullopt);
  }

 private:
  EventLoop& loop_;
  std::optional<transport::Connection> connection_;
  const std::chrono::steady_clock::time_point since_;
};

Reception::Reception(EventLoop& loop, transport::Refusals& refusals,
                     std::function<void(transport::Connection)> come, TimeSource clock)
    : loop_(loop), refusals_(refusals), come_(std::move(come)), clock_(std::move(clock)) {}

Reception::~Reception() = default;

void Reception::take(transport::Connection connection) {
  const auto now = clock_();
  if (!make_room(places_, now)) {
    refusals_.tell("a client was turned away: too many that say nothing have just come");
    return;
  }
  if (!group_) group_ = transport::DescriptorGroup::create(loop_).value_or(nullptr);
  const int fd = connection.input();
  const auto place = places_.emplace(places_.end(), loop(), std::move(connection), now);
  loop().add(fd, Interest::Read, [this, place](auto) { look(place); });
}

void Reception::look(std::list<Place>::iterator place) {
  if (is_debugger(place->connection())) {
    transport::Connection connection = place->release();
    places_.erase(place);
    come_(std::move(connection));
  } else if (place->connection().gone()) {
    places_.erase(place);
  }
}

// Acknowledgements of nothing are taken off: a debugger's first word may be behind them.
bool Reception::is_debugger(transport::Connection& connection) {
  for (;;) {
    std::array<char, kFirstBytes> buffer;
    const std::string_view first(buffer.data(), connection.peek(buffer));
    if (first.empty()) return false;
    switch (rsp::opening(first)) {
      case rsp::Opening::Debugger:
        return true;
      case rsp::Opening::Unclear:
        (void)connection.read(std::span(buffer).first(first.size()));
        break;
      case rsp::Opening::Other:
        refusals_.tell("closed what is no debugger: it began with '" + printable(first) + "'");
        connection.give_up();
        return false;
    }
  }
}

}  // namespace ringside
