#include "cli/start/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>

#include "base/file_at.h"
#include "cli/terminal/notice.h"

namespace ringside::cli {

namespace {

constexpr std::size_t kPiece = 1u << 20;

// Nobody may be there to write to a pipe, or to type.
constexpr unsigned kTurnMilliseconds = 5, kTurnsUntilNotice = 1'000 / kTurnMilliseconds;

std::string cannot_read(const std::string& name) { return "cannot read " + name; }

class Reader {
 public:
  Reader(Fd fd, std::string name, const Reading& reading)
      : fd_(std::move(fd)), name_(std::move(name)), reading_(reading) {}

  Result<FileContent> read_regular(std::uint64_t size);
  Result<FileContent> read_stream();

 private:
  Error too_much() const {
    return Error(ErrorCode::BadRequest, fmt::format("{}: {}", cannot_read(name_), reading_.beyond));
  }
  Error failed() const { return Error::from_errno(cannot_read(name_), errno); }
  Result<void> call_meanwhile(std::uint64_t done, std::uint64_t total = 0) const {
    return reading_.meanwhile ? reading_.meanwhile({reading_what_, done, total}) : Result<void>();
  }
  // Shown once, when there is enough of it.
  Result<void> show_beginning(std::span<const std::byte> bytes, bool is_all) {
    if (is_shown_ || (!is_all && bytes.size() < reading_.begins_with)) return {};
    is_shown_ = true;
    if (!reading_.check_beginning) return {};
    return reading_.check_beginning(bytes.first(std::min(bytes.size(), reading_.begins_with)));
  }
  Result<std::size_t> read_at(std::uint64_t at, std::span<std::byte> out) const;
  Result<void> await_content(std::uint64_t done);

  Fd fd_;
  std::string name_;
  std::string reading_what_ = "reading " + name_;
  const Reading& reading_;
  bool is_shown_ = false;
  unsigned turns_ = 0;  // in which nothing came
};

// Less than `out` at the file's end.
Result<std::size_t> Reader::read_at(std::uint64_t at, std::span<std::byte> out) const {
  const std::optional<std::size_t> size = ringside::read_at(fd_, at, out);
  if (!size) return fail(failed());
  return *size;
}

Result<FileContent> Reader::read_regular(std::uint64_t size) {
  if (size > reading_.most) return fail(too_much());
  FileContent content = TRY(FileContent::create(size));
  const std::span<std::byte> bytes = content.bytes();
  const std::size_t beginning = std::min<std::size_t>(reading_.begins_with, size);
  std::size_t used = TRY(read_at(0, bytes.first(beginning)));
  bool cut = used < beginning;
  TRY(show_beginning(bytes.first(used), cut || beginning == size));
  while (!cut && used < size) {
    // Where a file system does not know of holes, everything is data.
    const off_t data = ::lseek(fd_.get(), static_cast<off_t>(used), SEEK_DATA);
    if (data < 0 && errno == ENXIO) {
      used = size;
      break;
    }
    if (data >= 0) used = std::min<std::size_t>(static_cast<std::size_t>(data), size);
    const off_t hole = ::lseek(fd_.get(), static_cast<off_t>(used), SEEK_HOLE);
    const std::size_t end =
        hole < 0 ? size : std::min<std::size_t>(static_cast<std::size_t>(hole), size);
    const std::size_t piece = std::min(kPiece, std::max(end, used + 1) - used);
    const std::size_t count = TRY(read_at(used, bytes.subspan(used, std::min(piece, size - used))));
    cut = count == 0;
    used += count;
    TRY(call_meanwhile(used, size));
  }
  content.cut(used);
  return content;
}

// A pipe may have nothing yet, or nobody who writes to it.
Result<void> Reader::await_content(std::uint64_t done) {
  pollfd entry{fd_.get(), POLLIN, 0};
  while (::poll(&entry, 1, kTurnMilliseconds) <= 0) {
    if (++turns_ == kTurnsUntilNotice) notice("waiting for {}: nothing has come from there", name_);
    TRY(call_meanwhile(done));
  }
  return call_meanwhile(done);
}

// The size is known only at the end.
Result<FileContent> Reader::read_stream() {
  std::vector<std::byte> content;
  std::size_t used = 0;
  for (;;) {
    TRY(await_content(used));
    if (used == content.size()) content.resize(used + kPiece);
    const ssize_t count = ::read(fd_.get(), content.data() + used, content.size() - used);
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (count < 0) return fail(failed());
    used += static_cast<std::size_t>(count);
    TRY(show_beginning(std::span(content).first(used), count == 0));
    if (count == 0) break;
    if (used > reading_.most) return fail(too_much());
  }
  content.resize(used);
  return FileContent(std::move(content));
}

}  // namespace

Result<FileContent> FileContent::create(std::size_t size) {
  FileContent content;
  if (size == 0) return content;
  void* const memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return fail(Error::from_errno("no memory for a file", errno));
  content.owner_ = std::shared_ptr<void>(memory, [size](void* mapped) { ::munmap(mapped, size); });
  content.bytes_ = {static_cast<std::byte*>(memory), size};
  return content;
}

FileContent::FileContent(std::vector<std::byte> bytes) {
  auto owner = std::make_shared<std::vector<std::byte>>(std::move(bytes));
  bytes_ = *owner;
  owner_ = std::move(owner);
}

tl::expected<Fd, int> open_file(const std::string& path) {
  Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) return tl::unexpected<int>(errno);
  return file;
}

Result<FileContent> read_file(const std::string& path, std::string_view what,
                              const Reading& reading) {
  return read_open_file(open_file(path), path, what, reading);
}

Result<FileContent> read_open_file(tl::expected<Fd, int> file, const std::string& path,
                                   std::string_view what, const Reading& reading) {
  const std::string name = fmt::format("{} '{}'", what, path);
  if (!file) return fail(Error::from_errno(cannot_read(name), file.error()));
  struct stat status {};
  const bool is_regular = ::fstat(file->get(), &status) == 0 && S_ISREG(status.st_mode);
  Reader reader(std::move(*file), name, reading);
  // Files of /proc have content and no size.
  if (is_regular && status.st_size > 0)
    return reader.read_regular(static_cast<std::uint64_t>(status.st_size));
  return reader.read_stream();
}

}  // namespace ringside::cli
