#include "nbd/disk.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <optional>
#include <utility>

#include "base/fd.h"
#include "base/log.h"
#include "nbd/address.h"
#include "nbd/messages.h"
#include "sandbox/companion.h"
#include "transport/message_stream.h"

namespace ringside::nbd {
namespace {

// So long a call waits for the server; then whoever called looks at debuggers and signals.
constexpr int kPatience = 1;  // milliseconds
// After so long it is said that a server does not answer.
constexpr std::chrono::seconds kLong{5};

// Memory that a process has in common with those that it makes afterwards.
class SharedRoom {
 public:
  static Result<SharedRoom> create() {
    void* const memory =
        ::mmap(nullptr, kRoom, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return fail(Error::from_errno("memory for a disk", errno));
    return SharedRoom(static_cast<std::byte*>(memory));
  }
  SharedRoom(SharedRoom&& other) noexcept : memory_(std::exchange(other.memory_, nullptr)) {}
  SharedRoom& operator=(SharedRoom&&) = delete;
  ~SharedRoom() {
    if (memory_ != nullptr) ::munmap(memory_, kRoom);
  }
  std::span<std::byte> bytes() const { return {memory_, kRoom}; }

 private:
  explicit SharedRoom(std::byte* memory) : memory_(memory) {}
  std::byte* memory_;
};

bool waits_for(int socket, int milliseconds) {
  pollfd polled{socket, POLLIN, 0};
  return ::poll(&polled, 1, milliseconds) == 0;
}

// One request at a time is under way. One that nobody asks for any more, because the guest has
// reset its device or goes back in its past, comes to its end before the next one begins.
class Disk final : public machine::BlockBackend {
 public:
  Disk(std::string name, Fd socket, SharedRoom room, const Export& found)
      : name_(std::move(name)),
        socket_(std::move(socket)),
        room_(std::move(room)),
        size_(found.size),
        is_read_only_(found.is_read_only != 0) {}

  std::uint64_t size() const override { return size_; }
  bool read_only() const override { return is_read_only_; }
  bool is_remote() const override { return true; }
  bool is_gone() const override { return is_gone_; }

  Outcome read(std::uint64_t offset, std::span<std::byte> out) override {
    const Request request{Operation::Read, static_cast<std::uint32_t>(out.size()), offset};
    const Outcome outcome = carry_out(request, {});
    if (outcome == Outcome::Done) std::memcpy(out.data(), room_.bytes().data(), out.size());
    return outcome;
  }
  Outcome write(std::uint64_t offset, std::span<const std::byte> data) override {
    return carry_out({Operation::Write, static_cast<std::uint32_t>(data.size()), offset}, data);
  }
  Outcome flush() override { return carry_out({Operation::Flush, 0, 0}, {}); }

 private:
  using Clock = std::chrono::steady_clock;

  // At most kRoom of data, which is what a device asks for at once.
  Outcome carry_out(const Request& request, std::span<const std::byte> data) {
    if (request.size > kRoom) return Outcome::Failed;
    if (is_gone_) return Outcome::Failed;
    if (!under_way_ && !begin(request, data)) return gone("");
    const bool is_the_one =
        *under_way_ == request && std::equal(data.begin(), data.end(), room_.bytes().begin());
    const Outcome outcome = await();
    if (is_the_one || outcome == Outcome::UnderWay) return outcome;
    return is_gone_ ? Outcome::Failed : Outcome::UnderWay;
  }

  bool begin(const Request& request, std::span<const std::byte> data) {
    if (!data.empty()) std::memcpy(room_.bytes().data(), data.data(), data.size());
    under_way_ = request;
    began_ = Clock::now();
    is_slow_ = false;
    return transport::send_message(socket_.get(), to_message(request));
  }

  Outcome await() {
    if (!answers_.has_message()) {
      if (waits_for(socket_.get(), kPatience)) {
        say_that_it_is_slow();
        return Outcome::UnderWay;
      }
      using Received = transport::MessageReader::Received;
      const Received received =
          answers_.receive(socket_.get(), transport::MessageReader::Waiting::No);
      if (received == Received::End || answers_.is_broken()) return gone("");
    }
    const auto message = answers_.next();
    if (!message) return Outcome::UnderWay;
    const auto answer = head_of<Answer>(*message);
    if (!answer) return gone("");
    if (answer->status == Status::Gone) return gone(text_of<Answer>(*message));
    const Request request = *std::exchange(under_way_, std::nullopt);
    if (is_slow_) log::warning("disk {}: the server has answered", name_);
    if (answer->status == Status::Done) return Outcome::Done;
    tell_failure(request, text_of<Answer>(*message));
    return Outcome::Failed;
  }

  Outcome gone(const std::string& why) {
    is_gone_ = true;
    under_way_.reset();
    log::warning("disk {}: the server is gone, and the guest gets errors{}{}", name_,
                 why.empty() ? "" : ": ", why);
    return Outcome::Failed;
  }

  // After ten lines come the 16th, the 32nd and so on: nobody fills a log with them.
  void tell_failure(const Request& request, const std::string& why) {
    constexpr std::uint64_t kAll = 10;
    const std::uint64_t number = ++failures_;
    if (number > kAll && (number & (number - 1)) != 0) return;
    const char* const what = request.operation == Operation::Read    ? "read"
                             : request.operation == Operation::Write ? "write"
                                                                     : "flush";
    log::warning("disk {}: a {} of {} bytes at {} failed: {}", name_, what, request.size,
                 request.offset, why);
  }

  void say_that_it_is_slow() {
    if (is_slow_ || Clock::now() - began_ < kLong) return;
    is_slow_ = true;
    log::warning("disk {}: the server does not answer, and the guest waits", name_);
  }

  std::string name_;
  Fd socket_;
  SharedRoom room_;
  std::uint64_t size_;
  bool is_read_only_;
  transport::MessageReader answers_;
  std::optional<Request> under_way_;
  Clock::time_point began_;
  bool is_slow_ = false;
  bool is_gone_ = false;
  std::uint64_t failures_ = 0;
};

}  // namespace

Result<std::shared_ptr<machine::BlockBackend>> connect(const std::string& address, Access access,
                                                       const sandbox::Rights& rights) {
  const auto refuse = [&](const std::string& why) {
    return fail(ErrorCode::System, fmt::format("disk {}: {}", address, why));
  };
  const std::string uri = TRY(uri_of(address));
  SharedRoom room = TRY(SharedRoom::create());
  Fd socket = TRY(sandbox::start_companion("ringside-nbd", sandbox::CompanionSocket::Stream,
                                           [&](sandbox::CompanionFiles files) {
                                             serve(files.socket, room.bytes(), uri, access, rights);
                                           }));
  constexpr int kMoment = 1000;  // milliseconds
  if (waits_for(socket.get(), kMoment)) log::warning("disk {}: waiting for the server", address);
  const auto message = transport::receive_message(socket.get());
  const auto found = message ? head_of<Export>(*message) : std::nullopt;
  if (!found) return refuse("the process that talks with the server has died");
  if (found->status != Status::Done) return refuse(text_of<Export>(*message));
  return std::make_shared<Disk>(address, std::move(socket), std::move(room), *found);
}

}  // namespace ringside::nbd
