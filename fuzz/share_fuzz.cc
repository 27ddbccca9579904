// A guest that asks the server of a shared folder for anything: messages that are nearly right, in
// any order, with names that lead out, of files that the host renames and removes meanwhile, and
// bytes. Each has one answer, which is what its type says, has no more bytes than was agreed on and
// none of a file beside the folder; nothing beside it changes, and no descriptor is lost.
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <tuple>

#include "base/testing/temporary_folder.h"
#include "choices.h"
#include "share/server.h"
#include "share/testing/message.h"
#include "share/testing/seed_folder.h"

namespace {

using namespace ringside;
using fuzz::check;
using fuzz::Choices;
using share::MessageType;
using share::testing::Answer;
using share::testing::Bytes;
using share::testing::Request;
namespace fs = std::filesystem;

// In memory, where there is such a place.
std::string temporary_place() {
  if (::access("/dev/shm", W_OK) == 0) ::setenv("TMPDIR", "/dev/shm", 0);
  return "shared";
}

// What no input can have in it.
std::string unguessable() {
  std::array<char, 32> bytes;
  check(::getrandom(bytes.data(), bytes.size(), 0) == ssize_t{bytes.size()});
  return {bytes.data(), bytes.size()};
}

// The folder, and what must stay as it is beside it.
class Host {
 public:
  Host() {
    ::umask(0);
    fs::create_directory(path("outside"));
    std::ofstream(path("outside/secret")) << secret;
    std::ofstream(path("shared-too")) << secret;
    fs::create_directory(path("shared"));
    before_ = beside();
  }
  fs::path path(const std::string& name) const { return scratch_.path() / name; }
  fs::path shared(const char* name) const { return path(folder_) / name; }

  void fill() const {
    share::testing::seed(path("shared"));
    check(::mkfifo(shared("fifo").c_str(), 0666) == 0);
  }
  void empty() const {
    // A guest may have taken its own rights away.
    check(::chmod(path("shared").c_str(), 0777) == 0);
    for (const auto& entry : fs::directory_iterator(path("shared"))) {
      make_removable(entry);
      fs::remove_all(entry.path());
    }
  }
  void check_beside() const { check(beside() == before_); }

  const std::string secret = unguessable();

 private:
  using Known = std::tuple<ino_t, mode_t, uid_t, gid_t, nlink_t, off_t, time_t, long>;

  static void make_removable(const fs::directory_entry& entry) {
    if (entry.symlink_status().type() != fs::file_type::directory) return;
    ::chmod(entry.path().c_str(), 0777);
    for (const auto& inner : fs::directory_iterator(entry.path()))
      make_removable(inner);
  }
  std::map<std::string, Known> beside() const {
    std::map<std::string, Known> all;
    for (auto entry = fs::recursive_directory_iterator(scratch_.path());
         entry != fs::recursive_directory_iterator(); ++entry) {
      if (entry->path() == path("shared")) {
        entry.disable_recursion_pending();
        continue;
      }
      struct stat status {};
      check(::lstat(entry->path().c_str(), &status) == 0);
      all[entry->path()] = {status.st_ino,         status.st_mode,        status.st_uid,
                            status.st_gid,         status.st_nlink,       status.st_size,
                            status.st_mtim.tv_sec, status.st_mtim.tv_nsec};
    }
    return all;
  }

  const std::string folder_ = temporary_place();
  const testing::TemporaryFolder scratch_;
  std::map<std::string, Known> before_;
};

const Host& host() {
  static const Host all;
  return all;
}

std::size_t open_files() {
  const fs::directory_iterator all("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

// ---- Answers

void skip_qid(Answer& answer) {
  const std::uint8_t type = answer.qid().type;
  check(type == 0 || type == 0x80 || type == 0x02);
}

void check_entries(Answer& answer, std::uint32_t wanted) {
  const std::uint32_t size = answer.u32();
  check(size == answer.left() && size <= wanted);
  while (answer.left() != 0) {
    skip_qid(answer);
    answer.u64();
    answer.u8();
    const std::string name = answer.string();
    check(!name.empty() && name.find('/') == std::string::npos);
  }
}

// All that follows the header of an answer to such a message.
void check_body(MessageType type, Answer& answer) {
  using enum MessageType;
  switch (type) {
    case StatFs:
      return (void)answer.text(60);
    case Open:
    case Create:
      skip_qid(answer);
      return (void)answer.u32();
    case SymbolicLink:
    case MakeNode:
    case MakeDirectory:
    case Attach:
      return skip_qid(answer);
    case ReadLink:
      check(!answer.string().empty());
      return;
    case GetAttributes:
      check(answer.u64() == 0x7ff);
      skip_qid(answer);
      return (void)answer.text(153 - 8 - 13);
    case ReadDirectory:
      return check_entries(answer, ~0u);
    case Lock:
      check(answer.u8() == 0);
      return;
    case GetLock:
      answer.text(21);
      return (void)answer.string();
    case Version: {
      answer.u32();
      const std::string version = answer.string();
      check(version == share::kVersion || version == "unknown");
      return;
    }
    case Walk:
      for (unsigned count = answer.u16(); count != 0; --count)
        skip_qid(answer);
      return;
    case Read:
      check(answer.data().find(host().secret) == std::string::npos);
      return;
    case Write:
      return (void)answer.u32();
    case Rename:
    case SetAttributes:
    case Sync:
    case Link:
    case RenameAt:
    case UnlinkAt:
    case Flush:
    case Clunk:
    case Remove:
      return;
    case Error:
    case WalkToExtendedAttribute:
    case CreateExtendedAttribute:
    case Authenticate:
      break;
  }
  check(false);
}

// ---- Requests

std::string name(Choices& choices) {
  const std::string kNames[] = {"file",
                                "folder",
                                "deep",
                                "inner",
                                "way-out",
                                "secret",
                                "fifo",
                                "made",
                                "..",
                                ".",
                                "",
                                "a/b",
                                "../outside",
                                std::string("x\0y", 3),
                                std::string(255, 'n'),
                                std::string(256, 'n')};
  // Most are names that may be there.
  const unsigned which = choices.below(40);
  if (which == 39) return std::string(choices.text(choices.below(64)));
  return kNames[which < std::size(kNames) ? which : which % 8];
}

class Scene {
 public:
  explicit Scene(Choices& choices)
      : choices_(choices),
        server_(Fd(::open(host().path("shared").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)),
                choices.once_in(8) ? share::Access::ReadOnly : share::Access::ReadWrite) {}

  void play() {
    begin();
    for (unsigned moves = 0; moves < 100 && !choices_.is_over(); ++moves)
      move();
  }

 private:
  void begin() {
    send(Request(MessageType::Version, share::kNoTag)
             .u32(choices_.mostly(65536u))
             .string(share::kVersion));
    send(Request(MessageType::Attach)
             .u32(0)
             .u32(share::kNoFid)
             .string("")
             .string("")
             .u32(choices_.mostly(share::kNoUser)));
  }

  std::uint32_t fid() { return choices_.once_in(16) ? choices_.odd(8u) : choices_.below(6); }
  std::uint32_t flags() {
    constexpr std::uint32_t kFlags[] = {
        O_RDONLY, O_WRONLY, O_RDWR, O_RDWR | O_TRUNC, O_WRONLY | O_APPEND, O_ACCMODE, O_DIRECTORY};
    return choices_.mostly(choices_.one_of(kFlags));
  }
  std::uint32_t mode() {
    constexpr std::uint32_t kModes[] = {
        0644,           0755,          0, 07777, 0100600, S_IFIFO | 0666, S_IFSOCK | 0777,
        S_IFCHR | 0666, S_IFBLK | 0600};
    return choices_.mostly(choices_.one_of(kModes));
  }
  std::uint64_t offset() { return choices_.mostly(std::uint64_t{choices_.below(16)}); }

  Request request() {
    using enum MessageType;
    constexpr MessageType kTypes[] = {
        StatFs,        Open,          Create,        SymbolicLink,
        MakeNode,      Rename,        ReadLink,      Sync,
        GetAttributes, SetAttributes, ReadDirectory, Lock,
        GetLock,       Link,          MakeDirectory, RenameAt,
        UnlinkAt,      Version,       Attach,        Flush,
        Walk,          Walk,          Walk,          Read,
        Write,         Clunk,         Remove,        Open,
        Create,        Walk,          Authenticate,  WalkToExtendedAttribute};
    const MessageType type = choices_.one_of(kTypes);
    Request request(type, choices_.mostly(std::uint16_t{1}));
    switch (type) {
      case StatFs:
      case ReadLink:
      case Clunk:
      case Remove:
        return request.u32(fid());
      case Open:
        request.u32(fid());
        return request.u32(flags());
      case Create:
        request.u32(fid()).string(name(choices_));
        request.u32(flags());
        request.u32(mode());
        return request.u32(0);
      case SymbolicLink:
        request.u32(fid()).string(name(choices_));
        return request.string(name(choices_)).u32(0);
      case MakeNode:
        request.u32(fid()).string(name(choices_));
        return request.u32(mode()).u32(1).u32(3).u32(0);
      case MakeDirectory:
        request.u32(fid()).string(name(choices_));
        return request.u32(mode()).u32(0);
      case Rename:
      case Link:
        request.u32(fid());
        request.u32(fid());
        return request.string(name(choices_));
      case Sync:
        request.u32(fid());
        return request.u32(choices_.below(2));
      case GetAttributes:
        return request.u32(fid()).u64(0x7ff);
      case SetAttributes:
        return set_attributes(request);
      case ReadDirectory:
        request.u32(fid());
        request.u64(offset());
        return request.u32(choices_.mostly(4096u));
      case Lock:
        request.u32(fid());
        return request.u8(choices_.mostly(std::uint8_t{1})).u32(0).u64(0).u64(0).u32(0).string("");
      case GetLock:
        request.u32(fid());
        return request.u8(choices_.mostly(std::uint8_t{1})).u64(0).u64(0).u32(0).string("c");
      case RenameAt:
        request.u32(fid()).string(name(choices_));
        request.u32(fid());
        return request.string(name(choices_));
      case UnlinkAt:
        request.u32(fid()).string(name(choices_));
        return request.u32(choices_.mostly(choices_.below(2) * std::uint32_t{AT_REMOVEDIR}));
      case Version:
        request.u32(choices_.mostly(8192u));
        return request.string(choices_.once_in(4) ? "9P2000" : share::kVersion);
      case Attach:
        request.u32(fid());
        return request.u32(choices_.mostly(share::kNoFid)).string("").string("/").u32(0);
      case Flush:
        return request.u16(1);
      case Walk:
        return walk(request);
      case Read:
        request.u32(fid());
        request.u64(offset());
        return request.u32(choices_.mostly(100u));
      case Write:
        request.u32(fid());
        request.u64(offset());
        return request.data(choices_.text(choices_.below(32)));
      default:
        return request.u32(0).string("").string("").u32(0);
    }
  }
  Request walk(Request request) {
    request.u32(fid());
    request.u32(fid());
    const unsigned names = choices_.once_in(16) ? choices_.below(20) : choices_.below(4);
    request.u16(static_cast<std::uint16_t>(names));
    for (unsigned i = 0; i < names; ++i)
      request.string(name(choices_));
    return request;
  }
  Request set_attributes(Request request) {
    request.u32(fid());
    request.u32(choices_.mostly(choices_.number<std::uint16_t>() & 0x1ffu));
    request.u32(mode());
    // Nobody else's, as root could.
    request.u32(::geteuid()).u32(::getegid());
    request.u64(offset());
    for (int i = 0; i < 4; ++i)
      request.u64(offset());
    return request;
  }

  void send(const Request& request) { send(request.bytes()); }
  void send(const Bytes& bytes) {
    const auto said = server_.answer(bytes);
    Bytes raw(said.begin(), said.end());
    const std::size_t size = raw.size();
    Answer answer(std::move(raw));
    check(size == answer.size() && size <= std::max<std::size_t>(most_, 11));
    if (bytes.size() >= share::kHeader)
      check(answer.tag() ==
            (std::to_integer<unsigned>(bytes[5]) | std::to_integer<unsigned>(bytes[6]) << 8));
    if (answer.type() == 7) {
      check(answer.error() > 0 && answer.error() < 4096 && answer.left() == 0);
      return;
    }
    check(bytes.size() >= share::kHeader);
    const auto type = static_cast<MessageType>(bytes[4]);
    check(answer.type() == static_cast<unsigned>(type) + 1);
    if (type == MessageType::Version) most_ = Answer(answer).u32();
    check_body(type, answer);
    check(answer.left() == 0);
  }

  // What somebody at the host does meanwhile.
  void host_moves() {
    std::error_code ignored;
    switch (choices_.below(4)) {
      case 0:
        return fs::rename(host().shared("folder"), host().shared("elsewhere"), ignored);
      case 1:
        return fs::rename(host().shared("elsewhere"), host().shared("folder"), ignored);
      case 2:
        fs::remove(host().shared("file"), ignored);
        return;
      default:
        (void)!::truncate(host().shared("folder/inner").c_str(), 1);
    }
  }

  void move() {
    switch (choices_.below(16)) {
      case 0:
        return host_moves();
      case 1: {
        const auto text = choices_.text(choices_.below(64));
        const auto* begin = reinterpret_cast<const std::byte*>(text.data());
        return send(Bytes(begin, begin + text.size()));
      }
      case 2: {
        Bytes bytes = request().bytes();
        bytes.resize(choices_.number<std::uint8_t>() % (bytes.size() + 2));
        return send(bytes);
      }
      case 3: {
        const Request whole = request();
        const auto size = static_cast<std::uint32_t>(whole.bytes().size());
        return send(whole.bytes(choices_.odd(size)));
      }
      default:
        return send(request());
    }
  }

  Choices& choices_;
  share::Server server_;
  std::uint32_t most_ = share::kSmallestMessage;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  host().fill();
  const std::size_t before = open_files();
  {
    Choices choices(data, size);
    Scene(choices).play();
  }
  check(open_files() == before);
  host().empty();
  host().check_beside();
  return 0;
}
