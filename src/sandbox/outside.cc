#include "sandbox/outside.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>
#include <variant>

#include "transport/listener.h"

namespace ringside::sandbox {
namespace {

// No part of the path is one, either.
int open_without_links(const std::string& path, int flags) {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags);
  how.resolve = RESOLVE_NO_SYMLINKS;
  return static_cast<int>(::syscall(SYS_openat2, AT_FDCWD, path.c_str(), &how, sizeof how));
}

}  // namespace

HostOutside::HostOutside(Names names) : names_(std::move(names)) {
  for (auto& folder : folders_)
    folder = std::make_unique<OpenFolder>();
  for (const std::string& path : names_.inputs)
    inputs_.push_back(look_at(path));
}

HostOutside::Input HostOutside::look_at(const std::string& path) const {
  Input input{path, {}};
  if (names_.links == Links::OfNow) return input;
  // A pipe that is named by its descriptor has no such path.
  std::error_code none;
  const std::filesystem::path file = std::filesystem::canonical(path, none);
  if (!none) {
    input.file = file;
    input.is_regular = std::filesystem::is_regular_file(file, none);
  }
  return input;
}

// O_NONBLOCK, because nobody may ever write to a FIFO.
tl::expected<Fd, int> HostOutside::open_input(const std::string& path) {
  const auto input = std::find_if(inputs_.begin(), inputs_.end(),
                                  [&](const Input& each) { return each.path == path; });
  if (input == inputs_.end()) return tl::unexpected<int>(EPERM);
  constexpr int kFlags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  Fd file(input->file.empty() ? ::open(path.c_str(), kFlags)
                              : open_without_links(input->file, kFlags));
  if (!file) return tl::unexpected<int>(errno);
  struct stat status {};
  if (input->is_regular && ::fstat(file.get(), &status) == 0 && S_ISFIFO(status.st_mode))
    return tl::unexpected<int>(ENODATA);  // nobody may ever write to it
  return file;
}

Result<void> HostOutside::open_folder(FolderOf which) {
  static constexpr std::array<std::string_view, kFolders> kWhere{
      "the directory of --files", "the directory of --save", "the directory of --dump-on-panic"};
  const auto index = static_cast<std::size_t>(which);
  folders_[index] = TRY(OpenFolder::open(names_.folders[index], kWhere[index]));
  return {};
}

Result<Fd> HostOutside::listen(const std::string& endpoint) {
  if (!names_.debugger_may_come)
    return fail(ErrorCode::NotSupported, "one endpoint for a debugger is all that can be had");
  const transport::Endpoint wanted = TRY(transport::parse_endpoint(endpoint));
  // What is open already is nothing to be opened.
  if (!std::holds_alternative<transport::TcpEndpoint>(wanted) &&
      !std::holds_alternative<transport::UnixEndpoint>(wanted))
    return fail(ErrorCode::BadRequest, "'" + endpoint + "' is no place to listen at");
  auto listener = TRY(transport::Listener::open(wanted));
  names_.debugger_may_come = false;
  if (const auto* local = std::get_if<transport::UnixEndpoint>(&wanted)) remember(local->path);
  return listener.hand_over();
}

void HostOutside::remember(const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) == 0 && S_ISSOCK(status.st_mode))
    sockets_.push_back({path, status.st_dev, status.st_ino});
}

Result<void> HostOutside::begin() {
  for (const std::string& path : names_.sockets)
    remember(path);
  return {};
}

void HostOutside::remove(const SocketFile& socket) {
  struct stat status {};
  if (::lstat(socket.path.c_str(), &status) == 0 && status.st_dev == socket.device &&
      status.st_ino == socket.inode)
    ::unlink(socket.path.c_str());
}

void HostOutside::remove_socket(const std::string& path) {
  std::erase_if(sockets_, [&](const SocketFile& socket) {
    if (socket.path != path) return false;
    remove(socket);
    return true;
  });
}

void HostOutside::end() {
  for (const SocketFile& socket : std::exchange(sockets_, {}))
    remove(socket);
}

}  // namespace ringside::sandbox
