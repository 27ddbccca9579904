#include "vsock/connection.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <string>
#include <utility>

namespace ringside::vsock {
namespace {

using machine::VsockHeader, machine::kVsockRoom;
using Operation = machine::VsockOperation;

// What is read of the host's program at once.
constexpr std::size_t kAtOnce = 32u << 10;

// How many bytes the socket took; nothing: it never takes any more.
std::optional<std::size_t> write_some(int socket, std::span<const std::byte> bytes) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t sent =
        ::send(socket, bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno == EAGAIN) break;
    if (sent <= 0) return std::nullopt;
    done += static_cast<std::size_t>(sent);
  }
  return done;
}

}  // namespace

Connection::Connection(Begun by, Ports ports, Fd socket, Clock::time_point now)
    : ports_(ports),
      socket_(std::move(socket)),
      stage_(by == Begun::ByHost ? Stage::Requested : Stage::Open),
      deadline_(now + kGuestsTime),
      wishes_(by == Begun::ByHost ? kRequest : kResponse) {}

void Connection::take_credit(const VsockHeader& header) {
  room_ = header.room;
  taken_ = header.taken;
}

// The counts are of 32 bits and go round. A guest whose figures make no sense has no credit.
std::uint32_t Connection::credit() const {
  const std::uint32_t under_way = sent_ - taken_;
  return under_way > room_ ? 0 : room_ - under_way;
}

std::optional<Clock::time_point> Connection::deadline() const {
  if (stage_ != Stage::Requested && stage_ != Stage::Ending) return std::nullopt;
  return deadline_;
}

VsockHeader Connection::header(Operation operation, std::uint32_t guest_cid) {
  told_ = forwarded_;
  VsockHeader header;
  header.source_cid = machine::kHostCid;
  header.destination_cid = guest_cid;
  header.source_port = ports_.host;
  header.destination_port = ports_.guest;
  header.type = machine::kVsockStream;
  header.operation = operation;
  header.room = kVsockRoom;
  header.taken = forwarded_;
  return header;
}

// What the guest has sent so far is the host's program's all the same.
void Connection::reset() {
  stage_ = Stage::Over;
  wishes_ = kReset;
}

void Connection::take(const VsockHeader& header, std::span<const std::byte> data,
                      Clock::time_point now) {
  if (stage_ == Stage::Over) return;
  take_credit(header);
  switch (header.operation) {
    case Operation::Response:
      return stage_ == Stage::Requested ? answered() : reset();
    case Operation::Reset:
      stage_ = Stage::Over;
      wishes_ = 0;
      return;
    case Operation::Shutdown:
      if (stage_ == Stage::Requested) return reset();
      guest_ends(header.flags & kBoth);
      break;
    case Operation::Data:
      if (stage_ == Stage::Requested) return reset();
      take_data(data);
      break;
    case Operation::CreditUpdate:
      break;
    case Operation::CreditRequest:
      wishes_ |= kCredit;
      break;
    case Operation::Invalid:
    case Operation::Request:
    default:
      return reset();
  }
  settle_end(now);
}

void Connection::settle_end(Clock::time_point now) {
  if (stage_ != Stage::Open || hosts_end_ != kBoth) return;
  stage_ = Stage::Ending;
  deadline_ = now + kGuestsTime;
}

// The program that has asked is told; its socket has room for so little.
void Connection::answered() {
  const std::string line = fmt::format("OK {}\n", ports_.host);
  stage_ = Stage::Open;
  if (write_some(socket_.get(), std::as_bytes(std::span(line))) != line.size()) reset();
}

// More than the guest had credit for, or after it had said that nothing would come, is an error of
// its own.
void Connection::take_data(std::span<const std::byte> data) {
  if ((guests_end_ & kSends) != 0 || data.size() > kVsockRoom - (received_ - forwarded_))
    return reset();
  received_ += static_cast<std::uint32_t>(data.size());
  kept_.erase(kept_.begin(), kept_.begin() + static_cast<std::ptrdiff_t>(written_));
  written_ = 0;
  kept_.insert(kept_.end(), data.begin(), data.end());
  write_to_host();
}

void Connection::guest_ends(std::uint32_t what) {
  guests_end_ |= what;
  if (guests_end_ == kBoth) return reset();
  if ((what & kReceives) != 0) ::shutdown(socket_.get(), SHUT_RD);
  write_to_host();
}

// Each end is told once, and the two may be told together.
void Connection::host_ends(std::uint32_t what) {
  if ((hosts_end_ | what) == hosts_end_) return;
  hosts_end_ |= what;
  wishes_ |= kShutdown;
}

void Connection::host_is_gone() {
  host_ends(kBoth);
  kept_.clear();
  written_ = 0;
  forwarded_ = received_;
}

void Connection::write_to_host() {
  if ((hosts_end_ & kReceives) != 0) {  // nobody takes it
    kept_.clear();
    written_ = 0;
    forwarded_ = received_;
  }
  const std::optional<std::size_t> written =
      write_some(socket_.get(), std::span<const std::byte>(kept_).subspan(written_));
  if (!written) {
    host_ends(kReceives);
    return write_to_host();
  }
  written_ += *written;
  forwarded_ += static_cast<std::uint32_t>(*written);
  if (forwarded_ - told_ >= kVsockRoom / 2) wishes_ |= kCredit;
  if (written_ < kept_.size()) return;
  kept_.clear();
  written_ = 0;
  if ((guests_end_ & kSends) != 0) ::shutdown(socket_.get(), SHUT_WR);
}

bool Connection::reads_no_more() const {
  return (hosts_end_ & kSends) != 0 || (guests_end_ & kReceives) != 0;
}

// Nothing goes ahead of the answer to the guest's request.
bool Connection::can_read() const {
  const bool is_answered = (wishes_ & kResponse) == 0;
  return stage_ == Stage::Open && is_answered && !reads_no_more() && credit() != 0;
}

void Connection::read_from_host(std::uint32_t guest_cid, Outbox& out) {
  std::array<std::byte, kAtOnce> room;
  const std::size_t size = std::min<std::size_t>(room.size(), credit());
  const ssize_t count = ::recv(socket_.get(), room.data(), size, MSG_DONTWAIT);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count < 0) return host_is_gone();
  if (count == 0) return host_ends(kSends);
  VsockHeader packet = header(Operation::Data, guest_cid);
  packet.length = static_cast<std::uint32_t>(count);
  out.put(packet, std::span(room).first(static_cast<std::size_t>(count)));
  sent_ += packet.length;
  if (credit() == 0) wishes_ |= kAskForCredit;
}

// What is not read although there is something may not be looked at: that its program has gone
// would be said again and again. Where nothing more is to be read, that is what is waited for.
Connection::Interest Connection::interest(bool may_read) const {
  if (stage_ != Stage::Open) return {};
  Interest interest;
  if (may_read && can_read()) interest.events |= POLLIN;
  if (!kept_.empty()) interest.events |= POLLOUT;
  interest.exists = interest.events != 0 || reads_no_more();
  return interest;
}

void Connection::proceed(short ready, std::uint32_t guest_cid, Outbox& out, Clock::time_point now) {
  if (stage_ != Stage::Open || ready == 0) return;
  if (!kept_.empty()) write_to_host();
  if (can_read()) {
    if ((ready & ~POLLOUT) != 0 && out.has_room()) read_from_host(guest_cid, out);
  } else if ((ready & (POLLHUP | POLLERR)) != 0 && reads_no_more()) {
    host_is_gone();
  }
  settle_end(now);
}

// Which of its wishes are first does not matter to the guest, but that the end is the last.
void Connection::tell(std::uint32_t guest_cid, Outbox& out) {
  while (wishes_ != 0 && out.has_room()) {
    const unsigned wish = 1u << std::countr_zero(wishes_);
    wishes_ &= ~wish;
    constexpr std::array kOperations{Operation::Request,      Operation::Response,
                                     Operation::CreditUpdate, Operation::CreditRequest,
                                     Operation::Shutdown,     Operation::Reset};
    VsockHeader packet =
        header(kOperations[static_cast<std::size_t>(std::countr_zero(wish))], guest_cid);
    if (wish == kShutdown) packet.flags = hosts_end_;
    out.put(packet, {});
  }
}

bool Connection::Rest::write() {
  const auto done = write_some(socket.get(), std::span<const std::byte>(bytes).subspan(written));
  written += done.value_or(0);
  return done && written < bytes.size();
}

Connection::Rest Connection::take_rest() {
  return {std::move(socket_), std::move(kept_), written_};
}

}  // namespace ringside::vsock
