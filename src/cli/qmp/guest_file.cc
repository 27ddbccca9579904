#include "cli/qmp/guest_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <span>
#include <utility>

namespace ringside::cli {
namespace {

constexpr const char* kNoWriting = "the dump cannot be written";

std::variant<WholeFile, Fd, transport::Connection> made_of(Fd descriptor) {
  struct stat status {};
  // Of a regular file there is no waiting.
  if (::fstat(descriptor.get(), &status) != 0 || S_ISREG(status.st_mode)) return descriptor;
  return transport::Connection::over_descriptors(Fd(), std::move(descriptor));
}

}  // namespace

ByteTarget::ByteTarget(Fd descriptor, EventLoop& loop)
    : where_(made_of(std::move(descriptor))), loop_(&loop) {}

ByteTarget::~ByteTarget() { watch(false); }

void ByteTarget::watch(bool on) {
  if (watched_ == on) return;
  watched_ = on;
  const int fd = std::get<transport::Connection>(where_).output();
  if (on) {
    loop_->add(fd, Interest::Write, [this](EventLoop::Ready) { watch(false); });
  } else {
    loop_->remove(fd);
  }
}

Result<std::size_t> ByteTarget::write(std::span<const std::byte> bytes) {
  if (auto* file = std::get_if<WholeFile>(&where_)) {
    TRY(file->write(bytes));
    return bytes.size();
  }
  if (auto* file = std::get_if<Fd>(&where_)) {
    const ssize_t count = ::write(file->get(), bytes.data(), bytes.size());
    if (count > 0) return static_cast<std::size_t>(count);
    if (count < 0 && errno == EINTR) return std::size_t{0};
    return fail(Error::from_errno(kNoWriting, count == 0 ? ENOSPC : errno));
  }
  auto& stream = std::get<transport::Connection>(where_);
  const std::size_t count =
      stream.write({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  if (stream.gone()) return fail(ErrorCode::System, std::string(kNoWriting) + ": nobody reads it");
  if (count == 0) watch(true);
  return count;
}

Result<void> ByteTarget::finish() {
  if (auto* file = std::get_if<WholeFile>(&where_)) return file->finish();
  return {};
}

Result<bool> GuestFile::advance() {
  if (!source_) source_ = TRY(begin_());
  if (target_ == nullptr) return source_(bytes_);
  if (target_->waits_for_room()) return false;
  if (written_ == bytes_.size() && !at_end_) {
    bytes_.clear();
    written_ = 0;
    at_end_ = TRY(source_(bytes_));
  }
  if (written_ < bytes_.size())
    written_ += TRY(target_->write(std::span<const std::byte>(bytes_).subspan(written_)));
  if (!at_end_ || written_ < bytes_.size()) return false;
  TRY(target_->finish());
  return true;
}

}  // namespace ringside::cli
