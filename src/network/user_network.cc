#include "network/user_network.h"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "network/frame_queue.h"
#include "network/slirp_stack.h"
#include "sandbox/landlock.h"
#include "sandbox/sandbox.h"
#include "sandbox/system_calls.h"
#include "sandbox/user.h"
#include "transport/message_stream.h"

namespace ringside::network {
namespace {

// The folders of the name server's address, which libslirp looks up when it is asked for: of the
// name that it opens, and of the file behind it where that is a link.
std::vector<std::string> folders_of_name_server() {
  const std::filesystem::path file = "/etc/resolv.conf";
  std::error_code ignored;
  return {file.parent_path(), std::filesystem::canonical(file, ignored).parent_path()};
}

// More connections than there are descriptors are refused, a core would hold what the guest sent.
void limit_resources() {
  constexpr rlim_t kDescriptors = 1024;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_max = std::min(limit.rlim_max, kDescriptors);
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
}

// What a host does not have is gone without, as in the process that runs the guest.
Result<void> give_up(const sandbox::Rights& rights) {
  if (!rights.user.empty()) TRY(sandbox::become(rights.user));
  limit_resources();
  if (rights.confinement == sandbox::Confinement::Off || !sandbox::why_none().empty()) return {};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
    return fail(Error::from_errno("PR_SET_NO_NEW_PRIVS", errno));
  (void)sandbox::forbid_names_outside(folders_of_name_server());
  (void)sandbox::allow_only_a_network();
  return {};
}

Result<std::unique_ptr<SlirpStack>> start(const NetworkOptions& options,
                                          const sandbox::Rights& rights, FrameQueue& queue) {
  const SlirpLibrary library = TRY(load_slirp());
  auto stack = TRY(SlirpStack::create(
      library, [&queue](std::span<const std::byte> frame) { (void)queue.add(frame); }));
  for (const Forward& forward : options.forwards)
    TRY(stack->add(forward));
  TRY(give_up(rights));
  return stack;
}

// False: the other side is gone.
bool read(int socket, std::span<std::byte> room, transport::MessageReader& reader) {
  const ssize_t count = ::recv(socket, room.data(), room.size(), MSG_DONTWAIT);
  if (count > 0) reader.append(room.first(static_cast<std::size_t>(count)));
  return count > 0 || (count < 0 && (errno == EAGAIN || errno == EINTR));
}

void run(int socket, SlirpStack& stack, FrameQueue& queue) {
  constexpr std::size_t kAtOnce = 256 << 10;
  std::vector<std::byte> room(kAtOnce);
  transport::MessageReader reader;
  std::vector<pollfd> polled;
  for (;;) {
    const int wanted = queue.empty() ? POLLIN : POLLIN | POLLOUT;
    polled.assign(1, {socket, static_cast<short>(wanted), 0});
    const int timeout = stack.prepare(polled, queue.is_crowded() ? Reading::Later : Reading::Now);
    if (::poll(polled.data(), polled.size(), timeout) < 0) {
      if (errno != EINTR) return;
      for (pollfd& entry : polled)
        entry.revents = 0;
    }
    stack.proceed(polled);
    if (polled.front().revents != 0 && !read(socket, room, reader)) return;
    while (const auto frame = reader.next())
      stack.take(*frame);
    if (reader.is_broken() || !queue.flush(socket)) return;
  }
}

}  // namespace

void serve(int socket, const NetworkOptions& options, const sandbox::Rights& rights) {
  FrameQueue queue;
  const Result<std::unique_ptr<SlirpStack>> stack = start(options, rights, queue);
  const std::string error = stack ? "" : stack.error().text();
  if (!transport::send_message(socket, std::as_bytes(std::span(error)))) return;
  if (stack) run(socket, **stack, queue);
}

}  // namespace ringside::network
