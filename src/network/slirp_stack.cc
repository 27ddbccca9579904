#include "network/slirp_stack.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <malloc.h>
#include <sys/socket.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "base/fd.h"
#include "machine/network/frame.h"
#include "network/addresses.h"

namespace ringside::network {
namespace {

constexpr std::int64_t kNanosecondsInMillisecond = 1'000'000;

// What other processes have may be what there is none of, and nobody tells when they give it back.
constexpr std::int64_t kUntilNextTrial = 1'000;  // milliseconds

// What libslirp keeps of connections, and of frames for somebody whose address nobody tells, has no
// bound of its own. It is all forgotten after a time.
constexpr std::size_t kMemory = 512 << 20;
constexpr unsigned kFramesBetweenLooks = 256;

std::int64_t now_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

in_addr ipv4(const char* text) {
  in_addr address{};
  ::inet_pton(AF_INET, text, &address);
  return address;
}
in6_addr ipv6(const char* text) {
  in6_addr address{};
  ::inet_pton(AF_INET6, text, &address);
  return address;
}

SlirpConfig configuration() {
  SlirpConfig config{};
  config.version = 4;
  config.in_enabled = true;
  config.vnetwork = ipv4(kNetwork);
  config.vnetmask = ipv4(kNetmask);
  config.vhost = ipv4(kGateway);
  config.vdhcp_start = ipv4(kGuest);
  config.vnameserver = ipv4(kNameServer);
  config.in6_enabled = true;
  config.vprefix_addr6 = ipv6(kPrefix6);
  config.vprefix_len = kPrefix6Length;
  config.vhost6 = ipv6(kGateway6);
  config.vnameserver6 = ipv6(kNameServer6);
  config.vhostname = kHostName;
  config.if_mtu = machine::kMtu;
  config.if_mru = machine::kMtu;
  return config;
}

enum class Kind : std::uint8_t { Arp, Ip, Fragment, Other };

// Other: what libslirp need not see. It would answer to a management protocol of network cards
// (NC-SI), which nobody speaks here.
Kind kind_of(std::span<const std::byte> frame) {
  constexpr unsigned kIpv4 = 0x0800, kArp = 0x0806, kIpv6 = 0x86dd;
  const auto word = [&](std::size_t at) {
    return std::to_integer<unsigned>(frame[at]) << 8 | std::to_integer<unsigned>(frame[at + 1]);
  };
  constexpr std::size_t kType = 12, kFragment = machine::kEthernetHeader + 6;
  if (frame.size() < machine::kEthernetHeader || frame.size() > machine::kMaxFrame)
    return Kind::Other;
  switch (word(kType)) {
    case kArp:
      return Kind::Arp;
    case kIpv6:
      return Kind::Ip;
    case kIpv4: {
      if (frame.size() < kFragment + 2) return Kind::Other;
      // More fragments, or an offset (RFC 791 3.1).
      constexpr unsigned kPart = 0x2000 | 0x1fff;
      return (word(kFragment) & kPart) != 0 ? Kind::Fragment : Kind::Ip;
    }
    default:
      return Kind::Other;
  }
}

struct BitPair {
  int slirp, poll;
};
constexpr BitPair kBits[] = {{SLIRP_POLL_IN, POLLIN},
                             {SLIRP_POLL_OUT, POLLOUT},
                             {SLIRP_POLL_PRI, POLLPRI},
                             {SLIRP_POLL_ERR, POLLERR},
                             {SLIRP_POLL_HUP, POLLHUP}};

Error no_forward(const Forward& forward, int problem) {
  const std::string head = "--net: " + to_string(forward) + ": ";
  switch (problem) {
    case EADDRINUSE:
      return {ErrorCode::Busy,
              fmt::format("{}port {} of {} is in use by another program; take another port", head,
                          forward.port, forward.address)};
    case EACCES:
      return {ErrorCode::System,
              fmt::format("{}only root may listen on port {}; take one above 1023", head,
                          forward.port)};
    case EADDRNOTAVAIL:
      return {ErrorCode::NotFound,
              fmt::format("{}this host has no address {}; 127.0.0.1 is for this host alone", head,
                          forward.address)};
    default:
      return Error::from_errno(head + "cannot listen", problem);
  }
}

}  // namespace

// Called by libslirp, with the stack as last argument.
const SlirpCb& SlirpStack::callbacks() {
  static const SlirpCb kCallbacks = [] {
    SlirpCb table{};
    table.send_packet = [](const void* bytes, std::size_t size, void* stack) -> ssize_t {
      static_cast<SlirpStack*>(stack)->send_({static_cast<const std::byte*>(bytes), size});
      return static_cast<ssize_t>(size);
    };
    table.guest_error = [](const char*, void*) {};
    table.clock_get_ns = [](void*) { return now_ns(); };
    table.timer_new_opaque = [](SlirpTimerId id, void* argument, void* stack) -> void* {
      auto& timers = static_cast<SlirpStack*>(stack)->timers_;
      timers.push_back(std::make_unique<Timer>(Timer{id, argument, std::nullopt}));
      return timers.back().get();
    };
    table.timer_free = [](void* timer, void* stack) {
      std::erase_if(static_cast<SlirpStack*>(stack)->timers_,
                    [&](const auto& each) { return each.get() == timer; });
    };
    table.timer_mod = [](void* timer, std::int64_t milliseconds, void*) {
      static_cast<Timer*>(timer)->due = milliseconds;
    };
    table.register_poll_fd = [](int, void*) {};
    table.unregister_poll_fd = [](int, void*) {};
    // What may be done now is looked at in every round of the loop.
    table.notify = [](void*) {};
    table.init_completed = [](Slirp*, void*) {};
    return table;
  }();
  return kCallbacks;
}

SlirpStack::SlirpStack(const SlirpLibrary& library, Send send)
    : library_(library), send_(std::move(send)) {
  const SlirpConfig config = configuration();
  slirp_ = library_.create(&config, &callbacks(), this);
}

Result<std::unique_ptr<SlirpStack>> SlirpStack::create(const SlirpLibrary& library, Send send) {
  std::unique_ptr<SlirpStack> stack(new SlirpStack(library, std::move(send)));
  if (stack->slirp_ != nullptr) return stack;
  return fail(
      ErrorCode::NotSupported,
      fmt::format("--net user needs libslirp 4.7 or newer: this host's is {}", library.version()));
}

SlirpStack::~SlirpStack() {
  if (slirp_ != nullptr) library_.destroy(slirp_);
}

// A forward leads to the guest's address of the same family. With IPv6 guests choose their own, and
// libslirp takes it from what the guest says to its neighbours.
Result<void> SlirpStack::add(const Forward& forward) {
  const bool is_v6 = forward.address.find(':') != std::string::npos;
  const int protocol = forward.protocol == Protocol::Udp ? SLIRP_HOSTFWD_UDP : 0;
  int failed = 0;
  if (is_v6) {
    sockaddr_in6 host{}, guest{};
    host.sin6_family = guest.sin6_family = AF_INET6;
    host.sin6_addr = ipv6(forward.address.c_str());
    host.sin6_port = htons(forward.port);
    guest.sin6_port = htons(forward.guest_port);
    failed = library_.add_forward(slirp_, reinterpret_cast<const sockaddr*>(&host), sizeof host,
                                  reinterpret_cast<const sockaddr*>(&guest), sizeof guest,
                                  protocol | SLIRP_HOSTFWD_V6ONLY);
  } else {
    sockaddr_in host{}, guest{};
    host.sin_family = guest.sin_family = AF_INET;
    host.sin_addr = ipv4(forward.address.c_str());
    host.sin_port = htons(forward.port);
    guest.sin_addr = ipv4(kGuest);
    guest.sin_port = htons(forward.guest_port);
    failed =
        library_.add_forward(slirp_, reinterpret_cast<const sockaddr*>(&host), sizeof host,
                             reinterpret_cast<const sockaddr*>(&guest), sizeof guest, protocol);
  }
  if (failed != 0) return fail(no_forward(forward, errno));
  if (forward.protocol == Protocol::Tcp) let_more_wait();
  return {};
}

// libslirp has one connection wait to be accepted; of more that come at once, each after it would
// be a second late.
void SlirpStack::let_more_wait() {
  constexpr int kWaiting = 128;
  std::vector<pollfd> polled;
  (void)prepare(polled, Reading::Now);
  for (const pollfd& entry : polled) {
    int listens = 0;
    socklen_t size = sizeof listens;
    if (::getsockopt(entry.fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens != 0) {
      ::listen(entry.fd, kWaiting);
      listening_.push_back(entry.fd);
    }
  }
}

// Whether accept(2) would get a socket. If not, who waits would end each poll(2) at once.
bool SlirpStack::is_to_accept() {
  if (!somebody_came_) return true;
  const Fd trial(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  somebody_came_ = !trial;
  return !somebody_came_;
}

std::size_t SlirpStack::memory() {
  if (frames_until_memory_is_looked_at_ == 0) {
    const struct mallinfo2 now = ::mallinfo2();
    memory_ = now.uordblks + now.hblkhd;
    frames_until_memory_is_looked_at_ = kFramesBetweenLooks;
  }
  --frames_until_memory_is_looked_at_;
  return memory_;
}

void SlirpStack::take(std::span<const std::byte> frame) {
  const auto input = [this](std::span<const std::byte> whole) {
    library_.input(slirp_, reinterpret_cast<const std::uint8_t*>(whole.data()),
                   static_cast<int>(whole.size()));
  };
  switch (kind_of(frame)) {
    case Kind::Arp:
      return input(frame);
    case Kind::Ip:
      if (memory() <= kMemory) input(frame);
      return;
    case Kind::Fragment:
      if (const auto whole = reassembly_.add(frame); whole && memory() <= kMemory) input(*whole);
      return;
    case Kind::Other:
      return;
  }
}

int SlirpStack::prepare(std::vector<pollfd>& polled, Reading reading) {
  struct Round {
    std::vector<pollfd>& polled;
    Reading reading;
    std::span<const int> not_now;
  } round{polled, reading, {}};
  const bool accepts = is_to_accept();
  if (!accepts) round.not_now = listening_;
  std::uint32_t timeout = UINT32_MAX;
  library_.fill(
      slirp_, &timeout,
      [](int fd, int events, void* argument) {
        auto& [all, when, not_now] = *static_cast<Round*>(argument);
        pollfd entry{fd, 0, 0};
        for (const auto& [slirps, polls] : kBits)
          if ((events & slirps) != 0) entry.events = static_cast<short>(entry.events | polls);
        if (when == Reading::Later) {
          entry.events = static_cast<short>(entry.events & POLLOUT);
          // poll(2) tells the end of a connection unasked.
          if (entry.events == 0) entry.fd = -1;
        }
        if (std::find(not_now.begin(), not_now.end(), fd) != not_now.end()) entry.fd = -1;
        all.push_back(entry);
        return static_cast<int>(all.size()) - 1;
      },
      &round);
  const std::int64_t now = now_ns() / kNanosecondsInMillisecond;
  std::int64_t wait = timeout == UINT32_MAX ? INT32_MAX : timeout;
  if (!accepts) wait = std::min(wait, kUntilNextTrial);
  for (const auto& timer : timers_)
    if (timer->due) wait = std::clamp<std::int64_t>(*timer->due - now, 0, wait);
  return wait == INT32_MAX ? -1 : static_cast<int>(wait);
}

void SlirpStack::proceed(std::span<const pollfd> polled) {
  for (const pollfd& entry : polled) {
    if (entry.revents != 0 &&
        std::find(listening_.begin(), listening_.end(), entry.fd) != listening_.end())
      somebody_came_ = true;
  }
  library_.poll(
      slirp_, 0,
      [](int index, void* argument) {
        const auto& all = *static_cast<std::span<const pollfd>*>(argument);
        int events = 0;
        for (const auto& [slirps, polls] : kBits)
          if ((all[static_cast<std::size_t>(index)].revents & polls) != 0) events |= slirps;
        return events;
      },
      &polled);
  run_timers();
}

// A timer may be set anew, for later, or end, where it is called.
void SlirpStack::run_timers() {
  const std::int64_t now = now_ns() / kNanosecondsInMillisecond;
  for (;;) {
    const auto timer = std::find_if(timers_.begin(), timers_.end(), [&](const auto& each) {
      return each->due.value_or(now + 1) <= now;
    });
    if (timer == timers_.end()) return;
    const Timer due = **timer;
    (*timer)->due.reset();
    library_.handle_timer(slirp_, due.id, due.argument);
  }
}

}  // namespace ringside::network
