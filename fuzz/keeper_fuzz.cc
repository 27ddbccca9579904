// Messages to the keeper from a process that its guest has taken over: bytes, or requests that are
// nearly right. It gives each that is one an answer, opens the file that was named at the start and
// none else, and makes files in the folders that were named; when the other side is gone, what was
// not finished is gone, and nothing beside has changed.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>

#include "base/testing/temporary_folder.h"
#include "choices.h"
#include "sandbox/keeper.h"
#include "sandbox/messages.h"

namespace {

using namespace ringside;
using fuzz::check;
using fuzz::Choices;
using sandbox::FolderOf;
using sandbox::Wish;
namespace fs = std::filesystem;

constexpr const char* kFolders[] = {"files", "save", "dump"};

// Where everything is, and what must stay as it is.
class Host {
 public:
  Host() {
    for (const char* folder : kFolders)
      fs::create_directory(path(folder));
    std::ofstream(path("kernel")) << "kernel";
    std::ofstream(path("secret.ko")) << "secret";
    std::ofstream(path("files/module.ko")) << "module";
    fs::create_symlink("../secret.ko", path("files/link"));
    fs::create_directory(path("files/folder.ko"));
    names.inputs = {path("kernel")};
    for (std::size_t i = 0; i < names.folders.size(); ++i)
      names.folders[i] = path(kFolders[i]);
  }
  std::string path(const std::string& name) const { return scratch_.path() / name; }

  // What is left of files is empty, and is removed again.
  void check_and_clean() const {
    check(text_of("kernel") == "kernel" && text_of("secret.ko") == "secret");
    check(entries("").size() == 2 + std::size(kFolders));
    for (const char* folder : kFolders) {
      for (const std::string& name : entries(folder)) {
        const std::string file = std::string(folder) + "/" + name;
        if (file == "files/module.ko" || file == "files/link" || file == "files/folder.ko")
          continue;
        // What is not finished has such a name, and anybody may choose another one like it.
        check(!name.starts_with(".ringside-" + std::to_string(::getpid()) + "-"));
        check(fs::is_regular_file(fs::symlink_status(path(file))) &&
              fs::file_size(path(file)) == 0);
        fs::remove(path(file));
      }
    }
    check(text_of("files/module.ko") == "module" && fs::is_symlink(path("files/link")));
  }

  sandbox::Names names;

 private:
  std::string text_of(const std::string& name) const {
    std::ifstream file(path(name));
    return {std::istreambuf_iterator<char>(file), {}};
  }
  std::set<std::string> entries(const std::string& folder) const {
    std::set<std::string> all;
    for (const auto& entry : fs::directory_iterator(path(folder)))
      all.insert(entry.path().filename());
    return all;
  }

  const testing::TemporaryFolder scratch_;
};

const Host& host() {
  static const Host all;
  return all;
}

std::size_t open_files() {
  const fs::directory_iterator all("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

std::string name(Choices& choices) {
  const std::string kNames[] = {"core",
                                "module.ko",
                                "../secret.ko",
                                "link",
                                "folder.ko",
                                "",
                                ".",
                                "/etc/passwd",
                                "..",
                                "a/b.ko",
                                host().path("kernel"),
                                host().path("secret.ko"),
                                std::string("x\0.ko", 5),
                                std::string(300, 'n'),
                                std::string(8192, 'l'),
                                std::string(9000, 'm')};
  const unsigned which = choices.below(std::size(kNames) + 1);
  if (which == std::size(kNames)) return std::string(choices.text(choices.below(64)));
  return kNames[which];
}

// What has been sent and is a request, in order.
struct Sent {
  std::vector<sandbox::Request> requests;
  bool is_sound = true;  // so far; the keeper leaves at the first that is none
};

void send_one(Choices& choices, int socket, Sent& sent) {
  sandbox::Request request;
  if (choices.below(4) != 3) {
    request.wish = static_cast<Wish>(choices.below(sandbox::kWishes));
    request.folder = static_cast<FolderOf>(choices.below(sandbox::kFolders));
    request.kind = static_cast<FileKind>(choices.below(kFileKinds));
    request.number = choices.once_in(4) ? choices.odd<std::uint32_t>(1) : choices.below(4);
    request.text = name(choices);
    if (sandbox::send(socket, request) && sent.is_sound) sent.requests.push_back(request);
    return;
  }
  // As bytes, with descriptors that nobody wants.
  const auto taken = choices.bytes(choices.below(32));
  if (taken.empty()) return;  // which is no message, but an end
  std::string bytes(taken.begin(), taken.end());
  constexpr std::size_t kHeader = 8, kMostText = 8192;
  if (choices.once_in(4)) bytes.resize(kHeader + kMostText + choices.below(3), 'x');
  iovec part{bytes.data(), bytes.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(2 * sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  const unsigned descriptors = choices.below(3);
  const Fd some(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (descriptors != 0) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(descriptors * sizeof(int));
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(descriptors * sizeof(int));
    const int both[] = {some.get(), some.get()};
    std::memcpy(CMSG_DATA(header), both, descriptors * sizeof(int));
  }
  if (::sendmsg(socket, &message, MSG_NOSIGNAL) < 0 || !sent.is_sound) return;
  const auto byte = [&bytes](std::size_t at) { return static_cast<unsigned char>(bytes[at]); };
  sent.is_sound = bytes.size() >= kHeader && bytes.size() <= kHeader + kMostText &&
                  byte(0) < sandbox::kWishes && byte(1) < sandbox::kFolders && byte(2) < kFileKinds;
  if (!sent.is_sound) return;
  request.wish = static_cast<Wish>(byte(0));
  request.text = bytes.substr(kHeader);
  sent.requests.push_back(std::move(request));
}

void check_answer(const sandbox::Request& request, const sandbox::Answer& answer) {
  check(!answer.fd || !answer.code);
  if (answer.code && request.wish != Wish::OpenInput) {
    fuzz::check_sentence(answer.text, request.text.size());
  }
  if (!answer.fd) return;
  struct stat status {};
  check(::fstat(answer.fd.get(), &status) == 0 && S_ISREG(status.st_mode));
  const bool reads = (::fcntl(answer.fd.get(), F_GETFL) & O_ACCMODE) == O_RDONLY;
  switch (request.wish) {
    case Wish::OpenInput:
      check(reads && request.text == host().path("kernel"));
      break;
    case Wish::OpenModule:
      check(reads && request.text.find('/') == std::string::npos);
      check(request.text.find(".ko") != std::string::npos);
      break;
    case Wish::Create:
      check(!reads && (status.st_mode & 0777) == 0600 && status.st_size == 0);
      check(request.text.find('/') == std::string::npos);
      break;
    default:
      check(false);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Choices choices(data, size);
  const Host& all = host();
  const std::size_t files = open_files();
  {
    int ends[2];
    check(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
    const Fd ours(ends[0]);
    const Fd keepers(ends[1]);
    Sent sent;
    for (unsigned left = 8; left > 0 && !choices.is_over(); --left)
      send_one(choices, ours.get(), sent);
    check(::shutdown(ours.get(), SHUT_WR) == 0);
    unsigned begun = 0;
    {
      sandbox::HostOutside outside(all.names);
      for (const FolderOf which : {FolderOf::Files, FolderOf::Save, FolderOf::Dump})
        check(outside.open_folder(which).has_value());
      sandbox::keep(keepers.get(), outside, "", [&begun] {
        ++begun;
        return Result<void>();
      });
    }
    // Closed it would take the answers with it, where it has left messages unread.
    check(::shutdown(keepers.get(), SHUT_WR) == 0);
    unsigned begins = 0;
    for (const sandbox::Request& request : sent.requests) {
      const auto answer = sandbox::receive_answer(ours.get());
      check(answer.has_value());
      check_answer(request, *answer);
      if (request.wish == Wish::Begin) ++begins;
    }
    check(!sandbox::receive_answer(ours.get()) && begun == begins);
  }
  check(open_files() == files);
  all.check_and_clean();
  return 0;
}
