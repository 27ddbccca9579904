#include "vsock/exchange.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <string_view>
#include <utility>

namespace ringside::vsock {
namespace {

using machine::VsockHeader;
using Operation = machine::VsockOperation;

// Programs of the host that have said nothing yet.
constexpr std::size_t kMostCallers = 32;
// "CONNECT 4294967295\r\n"
constexpr std::size_t kLongestCall = 20;

// The port, of the whole line without its line feed.
std::optional<std::uint32_t> port_wanted(std::string_view line) {
  constexpr std::string_view kWord = "CONNECT ";
  if (!line.starts_with(kWord)) return std::nullopt;
  line.remove_prefix(kWord.size());
  if (line.ends_with('\r')) line.remove_suffix(1);
  std::uint32_t port = 0;
  const char* const end = line.data() + line.size();
  const auto [stop, error] = std::from_chars(line.data(), end, port);
  if (line.empty() || error != std::errc() || stop != end) return std::nullopt;
  return port;
}

enum class Said : std::uint8_t { Part, Line, Wrong };

// Takes what belongs to the first line and nothing else, which is the guest's.
Said listen_to(int socket, std::string& said) {
  std::array<char, kLongestCall> room;
  const std::size_t size = room.size() - said.size();
  const ssize_t seen = ::recv(socket, room.data(), size, MSG_PEEK | MSG_DONTWAIT);
  if (seen < 0 && (errno == EAGAIN || errno == EINTR)) return Said::Part;
  if (seen <= 0) return Said::Wrong;
  const std::string_view text(room.data(), static_cast<std::size_t>(seen));
  const std::size_t end = text.find('\n');
  const std::size_t taken = end == std::string_view::npos ? text.size() : end + 1;
  if (::recv(socket, room.data(), taken, MSG_DONTWAIT) != static_cast<ssize_t>(taken))
    return Said::Wrong;
  said.append(room.data(), taken);
  if (said.back() == '\n') {
    said.pop_back();
    return Said::Line;
  }
  return said.size() < kLongestCall ? Said::Part : Said::Wrong;
}

}  // namespace

bool Exchange::has_place() const { return size() < most_ && callers_.size() < kMostCallers; }

void Exchange::welcome(Fd socket, Clock::time_point now) {
  callers_.push_back({std::move(socket), {}, now + kHostsTime});
}

void Exchange::take(std::span<const std::byte> packet, Clock::time_point now) {
  if (packet.empty()) return forget_all();
  VsockHeader header;
  if (packet.size() < sizeof header) return;
  std::memcpy(&header, packet.data(), sizeof header);
  take_packet(header, packet.subspan(sizeof header), now);
  tell_resets();
}

void Exchange::let_go_of_all() {
  for (auto& [ports, connection] : connections_)
    keep_rest(connection);
  connections_.clear();
  resets_.clear();
}

// What came before this answer is of connections that the guest does not know.
void Exchange::forget_all() {
  let_go_of_all();
  out_.put_message({});
}

void Exchange::end() {
  let_go_of_all();
  callers_.clear();
}

// The device may have cut off data that is longer than any may be.
void Exchange::take_packet(const VsockHeader& header, std::span<const std::byte> data,
                           Clock::time_point now) {
  if (header.source_cid != guest_cid_) return;
  const bool is_whole = header.length == data.size();
  if (header.destination_cid != machine::kHostCid || header.type != machine::kVsockStream)
    return resets_.answer(header);
  const auto found = connections_.find({header.source_port, header.destination_port});
  if (found == connections_.end())
    return header.operation == Operation::Request ? begin(header, now) : resets_.answer(header);
  if (is_whole) {
    found->second.take(header, data, now);
  } else {
    found->second.give_up();
  }
  tell(found);
}

void Exchange::begin(const VsockHeader& header, Clock::time_point now) {
  Fd socket = size() < most_ ? call_(header.destination_port) : Fd();
  if (!socket) return resets_.answer(header);
  const Ports ports{header.source_port, header.destination_port};
  const auto made =
      connections_.try_emplace(ports, Connection::Begun::ByGuest, ports, std::move(socket), now);
  made.first->second.take_credit(header);
  tell(made.first);
}

// By a port of its own, so that each connection has another pair.
void Exchange::connect(Fd socket, std::uint32_t guest_port, Clock::time_point now) {
  const auto is_taken = [&] { return connections_.contains({guest_port, next_port_}); };
  while (next_port_ < kFirstPort || is_taken())
    next_port_ = std::max(next_port_ + 1, kFirstPort);
  const Ports ports{guest_port, next_port_++};
  connections_.try_emplace(ports, Connection::Begun::ByHost, ports, std::move(socket), now);
}

void Exchange::tell_resets() {
  while (out_.has_room()) {
    const std::optional<VsockHeader> reset = resets_.take();
    if (!reset) return;
    out_.put(*reset, {});
  }
}

// What comes after it in the table.
Exchange::Table::iterator Exchange::tell(Table::iterator place) {
  Connection& connection = place->second;
  connection.tell(guest_cid_, out_);
  if (!connection.is_over()) return std::next(place);
  keep_rest(connection);
  return connections_.erase(place);
}

void Exchange::keep_rest(Connection& connection) {
  Connection::Rest rest = connection.take_rest();
  if (!rest.bytes.empty()) rests_.push_back(std::move(rest));
}

int Exchange::prepare(std::vector<pollfd>& polled, Clock::time_point now) {
  std::optional<Clock::time_point> first;
  const auto wait_until = [&first](Clock::time_point time) {
    first = std::min(first.value_or(time), time);
  };
  for (const Caller& caller : callers_) {
    polled.push_back({caller.socket.get(), POLLIN, 0});
    wait_until(caller.deadline);
  }
  for (const Connection::Rest& rest : rests_)
    polled.push_back({rest.socket.get(), POLLOUT, 0});
  polled_.clear();
  const auto add = [&](const auto& begin, const auto& end) {
    for (auto each = begin; each != end; ++each) {
      const auto& [ports, connection] = *each;
      if (const auto deadline = connection.deadline()) wait_until(*deadline);
      const Connection::Interest interest = connection.interest(out_.has_room());
      if (!interest.exists) continue;
      polled.push_back({connection.socket(), interest.events, 0});
      polled_.push_back(ports);
    }
  };
  const auto middle = connections_.upper_bound(first_);
  add(middle, connections_.end());
  add(connections_.begin(), middle);
  if (!polled_.empty()) first_ = polled_.front();
  if (!first) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(*first - now);
  return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 60'000));
}

void Exchange::proceed(std::span<const pollfd> polled, Clock::time_point now) {
  const std::span<const pollfd> callers = polled.first(callers_.size());
  const std::span<const pollfd> rests = polled.subspan(callers.size(), rests_.size());
  const std::span<const pollfd> others = polled.subspan(callers.size() + rests.size());
  for (std::size_t i = 0; i < polled_.size(); ++i)
    connections_.at(polled_[i]).proceed(others[i].revents, guest_cid_, out_, now);
  write_rests(rests);
  hear(callers, now);
  give_up_late(now);
  tell_resets();
  for (auto each = connections_.begin(); each != connections_.end();)
    each = tell(each);
}

void Exchange::hear(std::span<const pollfd> polled, Clock::time_point now) {
  auto caller = callers_.begin();
  for (const pollfd& entry : polled) {
    const auto here = caller++;
    if (entry.revents == 0) continue;
    const Said said = listen_to(here->socket.get(), here->said);
    if (said == Said::Part) continue;
    const auto port = said == Said::Line ? port_wanted(here->said) : std::nullopt;
    if (port) connect(std::move(here->socket), *port, now);
    callers_.erase(here);
  }
}

// The host's program has its end when all is written.
void Exchange::write_rests(std::span<const pollfd> polled) {
  auto rest = rests_.begin();
  for (const pollfd& entry : polled) {
    const auto here = rest++;
    if (entry.revents != 0 && !here->write()) rests_.erase(here);
  }
}

void Exchange::give_up_late(Clock::time_point now) {
  std::erase_if(callers_, [now](const Caller& caller) { return caller.deadline <= now; });
  for (auto& [ports, connection] : connections_) {
    if (const auto deadline = connection.deadline(); deadline && *deadline <= now)
      connection.give_up();
  }
}

}  // namespace ringside::vsock
