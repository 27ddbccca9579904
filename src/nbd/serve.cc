#include "nbd/serve.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <functional>

#include "nbd/library.h"
#include "nbd/messages.h"
#include "sandbox/landlock.h"
#include "sandbox/system_calls.h"
#include "transport/message_stream.h"

namespace ringside::nbd {
namespace {

constexpr std::uint64_t kSector = 512;

// libnbd begins an error with the name of the function that was called.
std::string without_function(const std::string& text) {
  const std::size_t colon = text.find(": ");
  return text.starts_with("nbd_") && colon != std::string::npos ? text.substr(colon + 2) : text;
}

class Connection {
 public:
  Connection(const Library& library, int socket, std::span<std::byte> room)
      : library_(library), handle_(library.create()), socket_(socket), room_(room) {}

  Result<Export> open(const std::string& uri, Access access) {
    if (handle_ == nullptr) return failed();
    if (library_.allow_tls(handle_, LIBNBD_TLS_DISABLE) < 0 ||
        library_.allow_transports(handle_,
                                  LIBNBD_ALLOW_TRANSPORT_TCP | LIBNBD_ALLOW_TRANSPORT_UNIX) < 0 ||
        library_.allow_local_file(handle_, false) < 0 || library_.connect(handle_, uri.c_str()) < 0)
      return failed();
    if (!wait_while([&] { return library_.is_connecting(handle_) == 1; })) return failed();
    if (library_.is_ready(handle_) != 1) return failed();
    return look_at_export(access);
  }

  // Nothing more is asked of it once the server is gone. What has no flush has nothing to flush.
  std::vector<std::byte> answer(const Request& request) {
    bool is_done = true;
    if (request.operation == Operation::Flush) {
      is_done = !can_flush_ || carry_out(Operation::Flush, 0, 0, 0);
    } else {
      for (std::size_t done = 0; done < request.size && is_done; done += most_at_once_) {
        const std::size_t part = std::min(most_at_once_, request.size - done);
        is_done = carry_out(request.operation, done, part, request.offset + done);
      }
    }
    if (is_done) return to_message(Answer{});
    return to_message(Answer{is_gone() ? Status::Gone : Status::Failed}, error_);
  }

  bool is_gone() const {
    return library_.is_dead(handle_) != 0 || library_.is_closed(handle_) != 0;
  }

 private:
  tl::unexpected<Error> failed() {
    note_error();
    return fail(ErrorCode::System, error_);
  }
  // The library forgets it with the next call.
  void note_error() {
    if (const char* const error = library_.error()) error_ = without_function(error);
  }

  Result<Export> look_at_export(Access access) {
    const std::int64_t size = library_.size(handle_);
    if (size < 0) return fail(ErrorCode::BadRequest, "the server claims a size that no disk has");
    Export found;
    found.size = static_cast<std::uint64_t>(size);
    found.is_read_only = access == Access::ReadOnly || library_.is_read_only(handle_) == 1 ? 1 : 0;
    can_flush_ = library_.can_flush(handle_) == 1;
    const std::int64_t least = library_.block_size(handle_, LIBNBD_SIZE_MINIMUM);
    const std::int64_t most = library_.block_size(handle_, LIBNBD_SIZE_MAXIMUM);
    if (size == 0 || found.size % kSector != 0) {
      return fail(ErrorCode::BadRequest,
                  fmt::format("{} bytes are not whole 512-byte sectors", size));
    }
    if (least > static_cast<std::int64_t>(kSector)) {
      return fail(ErrorCode::BadRequest,
                  fmt::format("the server takes no less than {} bytes at a time, and a disk has "
                              "sectors of 512; nbdkit --filter=blocksize takes less",
                              least));
    }
    if (most >= static_cast<std::int64_t>(kSector) && most < static_cast<std::int64_t>(kRoom))
      most_at_once_ = static_cast<std::size_t>(most) / kSector * kSector;
    if (access == Access::ReadWrite && found.is_read_only != 0)
      return fail(ErrorCode::BadRequest,
                  "the server gives it for reading alone; name it with ,ro or ,snapshot");
    return found;
  }

  std::int64_t begin(Operation operation, std::byte* data, std::size_t size, std::uint64_t offset) {
    switch (operation) {
      case Operation::Read:
        return library_.read(handle_, data, size, offset, NBD_NULL_COMPLETION, 0);
      case Operation::Write:
        return library_.write(handle_, data, size, offset, NBD_NULL_COMPLETION, 0);
      case Operation::Flush:
        break;
    }
    return library_.flush(handle_, NBD_NULL_COMPLETION, 0);
  }

  // From `at` in the room on.
  bool carry_out(Operation operation, std::size_t at, std::size_t size, std::uint64_t offset) {
    const std::int64_t cookie = begin(operation, room_.data() + at, size, offset);
    int completed = cookie < 0 ? -1 : 0;
    const bool is_over = wait_while([&] {
      if (completed == 0)
        completed = library_.completed(handle_, static_cast<std::uint64_t>(cookie));
      if (completed < 0 && !is_broken_) note_error();
      return completed == 0;
    });
    return is_over && completed == 1;
  }

  // Moves what there is between libnbd and the server. False: the other process is gone, or the
  // server is.
  bool wait_while(const std::function<bool()>& is_under_way) {
    while (is_under_way()) {
      if (is_gone()) return false;
      const unsigned direction = library_.direction(handle_);
      short wanted = 0;
      if ((direction & LIBNBD_AIO_DIRECTION_READ) != 0) wanted |= POLLIN;
      if ((direction & LIBNBD_AIO_DIRECTION_WRITE) != 0) wanted |= POLLOUT;
      pollfd polled[] = {{library_.fd(handle_), wanted, 0}, {socket_, 0, 0}};
      if (::poll(polled, 2, -1) < 0 && errno != EINTR) return false;
      if (polled[1].revents != 0) return false;
      const short ready = polled[0].revents;
      if ((direction & LIBNBD_AIO_DIRECTION_READ) != 0 && (ready & ~POLLOUT) != 0)
        tell(library_.notify_read);
      else if (ready != 0)
        tell(library_.notify_write);
    }
    return true;
  }

  // What has ended the connection says more than that a request fails without one.
  void tell(int (*notify)(nbd_handle*)) {
    if (notify(handle_) >= 0) return;
    note_error();
    is_broken_ = is_gone();
  }

  const Library& library_;
  nbd_handle* handle_;
  int socket_;
  std::span<std::byte> room_;
  bool can_flush_ = false;
  std::string error_ = "it does not say why";
  bool is_broken_ = false;  // and error_ says by what
  std::size_t most_at_once_ = kRoom;
};

// A core would hold what the guest wrote.
void make_no_cores() {
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
}

Result<Export> start(Connection& connection, const std::string& uri, Access access,
                     const sandbox::Rights& rights) {
  make_no_cores();
  const Export found = TRY(connection.open(uri, access));
  TRY(sandbox::give_up(rights, {sandbox::forbid_names, sandbox::allow_only_a_client}));
  return found;
}

void run(int socket, Connection& connection) {
  transport::MessageReader requests;
  while (const auto message = requests.await(socket)) {
    const auto request = head_of<Request>(*message);
    if (!request || request->size > kRoom) return;
    if (!transport::send_message(socket, connection.answer(*request)) || connection.is_gone())
      return;
  }
}

}  // namespace

void serve(int socket, std::span<std::byte> room, const std::string& uri, Access access,
           const sandbox::Rights& rights) {
  const auto refuse = [&](const Error& error) {
    (void)transport::send_message(socket, to_message(Export{Status::Failed, 0, 0}, error.text()));
  };
  const Result<Library> library = load_library();
  if (!library) return refuse(library.error());
  Connection connection(*library, socket, room);
  const Result<Export> found = start(connection, uri, access, rights);
  if (!found) return refuse(found.error());
  if (transport::send_message(socket, to_message(*found))) run(socket, connection);
}

}  // namespace ringside::nbd
