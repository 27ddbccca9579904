#include "network/user_network.h"

#include <poll.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "network/slirp_stack.h"
#include "sandbox/landlock.h"
#include "sandbox/system_calls.h"
#include "transport/message_stream.h"

namespace ringside::network {
namespace {

using transport::MessageReader;
using transport::MessageWriter;

// For frames on their way to the guest. Nobody waits for who reads them: one for which there is no
// room is lost, as on a wire.
constexpr std::size_t kRoom = 4 << 20;

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

Result<std::unique_ptr<SlirpStack>> start(const NetworkOptions& options,
                                          const sandbox::Rights& rights, MessageWriter& frames) {
  const SlirpLibrary library = TRY(load_slirp());
  auto stack = TRY(SlirpStack::create(
      library, [&frames](std::span<const std::byte> frame) { (void)frames.add(frame); }));
  for (const Forward& forward : options.forwards)
    TRY(stack->add(forward));
  limit_resources();
  TRY(sandbox::give_up(rights,
                       {[] { return sandbox::forbid_names_outside(folders_of_name_server()); },
                        sandbox::allow_only_a_network}));
  return stack;
}

void run(int socket, SlirpStack& stack, MessageWriter& frames) {
  MessageReader reader;
  std::vector<pollfd> polled;
  for (;;) {
    const int wanted = frames.empty() ? POLLIN : POLLIN | POLLOUT;
    polled.assign(1, {socket, static_cast<short>(wanted), 0});
    // When half of the room is taken, what can wait should.
    const bool is_crowded = frames.size() > kRoom / 2;
    const int timeout = stack.prepare(polled, is_crowded ? Reading::Later : Reading::Now);
    if (::poll(polled.data(), polled.size(), timeout) < 0) {
      if (errno != EINTR) return;
      for (pollfd& entry : polled)
        entry.revents = 0;
    }
    stack.proceed(polled);
    if (polled.front().revents != 0 &&
        reader.receive(socket, MessageReader::Waiting::No) == MessageReader::Received::End)
      return;
    while (const auto frame = reader.next())
      stack.take(*frame);
    if (reader.is_broken() || !frames.flush(socket)) return;
  }
}

}  // namespace

void serve(int socket, const NetworkOptions& options, const sandbox::Rights& rights) {
  MessageWriter frames(kRoom);
  const Result<std::unique_ptr<SlirpStack>> stack = start(options, rights, frames);
  const std::string error = stack ? "" : stack.error().text();
  if (!transport::send_message(socket, std::as_bytes(std::span(error)))) return;
  if (stack) run(socket, **stack, frames);
}

}  // namespace ringside::network
