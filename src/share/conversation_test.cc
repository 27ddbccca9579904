// Versions, attaching, walks and fids; and what is no message.
#include <fcntl.h>
#include <sys/resource.h>

#include <algorithm>

#include "share/fids.h"
#include "share/testing/shared_folder.h"

namespace ringside::share {
namespace {

using testing::Answer;
using testing::Bytes;
using testing::Request;
using testing::SharedFolder;
namespace fs = std::filesystem;

class Conversation : public SharedFolder {};

TEST_F(Conversation, AgreesOnTheSmallerSize) {
  Answer small = client().version(8192);
  EXPECT_EQ(small.u32(), 8192u);
  EXPECT_EQ(small.string(), "9P2000.L");
  EXPECT_EQ(small.tag(), kNoTag);
  EXPECT_EQ(client().version(~0u).u32(), kLargestMessage);
  EXPECT_EQ(client().version(kSmallestMessage).u32(), kSmallestMessage);
  EXPECT_EQ(client().version(kSmallestMessage - 1).error(), EMSGSIZE);
}

TEST_F(Conversation, OtherProtocolsAreUnknownAndAnotherMayBeProposed) {
  for (const char* protocol : {"9P2000", "9P2000.u", "9P2000.L ", "", "9p2000.L"}) {
    Answer answer = client().version(8192, protocol);
    answer.u32();
    EXPECT_EQ(answer.string(), "unknown") << protocol;
    EXPECT_EQ(client().attach(), EPROTO);
  }
  client().begin();
}

TEST_F(Conversation, NothingIsAnsweredBeforeAVersion) {
  Server fresh(directory(), Access::ReadWrite);
  testing::Client early(fresh);
  EXPECT_EQ(early.attach(), EPROTO);
  EXPECT_EQ(early.clunk(0), EPROTO);
  early.begin();
}

TEST_F(Conversation, AVersionForgetsAllFids) {
  const std::uint32_t fid = client().fid("file");
  client().begin();
  EXPECT_EQ(client().clunk(fid), EBADF);
}

TEST_F(Conversation, AttachesToTheOneTree) {
  const auto attach = [&](std::uint32_t fid, std::uint32_t authenticated, const char* tree) {
    return client().error_of(Request(MessageType::Attach)
                                 .u32(fid)
                                 .u32(authenticated)
                                 .string("somebody")
                                 .string(tree)
                                 .u32(1000));
  };
  EXPECT_EQ(attach(1, kNoFid, "/"), 0);
  EXPECT_EQ(attach(1, kNoFid, ""), EINVAL) << "it is in use";
  EXPECT_EQ(attach(kNoFid, kNoFid, ""), EINVAL);
  EXPECT_EQ(attach(2, 1, ""), EBADF) << "nobody has been authenticated";
  EXPECT_EQ(attach(2, kNoFid, "/home"), ENOENT);
  EXPECT_EQ(
      client().error_of(Request(MessageType::Authenticate).u32(3).string("root").string("").u32(0)),
      EOPNOTSUPP);
}

TEST_F(Conversation, WalksNameByName) {
  Answer answer = client().walk(kRoot, 1, {"folder", "deep"});
  ASSERT_EQ(answer.u16(), 2u);
  EXPECT_EQ(answer.qid().path, testing::status_of(shared("folder")).st_ino);
  const testing::SeenQid deep = answer.qid();
  EXPECT_EQ(deep.path, testing::status_of(shared("folder/deep")).st_ino);
  EXPECT_EQ(deep.type, 0x80);
  Answer up = client().walk(1, 1, {"..", "..", "..", "..", "link"});
  ASSERT_EQ(up.u16(), 5u);
  EXPECT_EQ(up.qid().path, testing::status_of(shared("folder")).st_ino);
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(up.qid().path, testing::status_of(shared()).st_ino) << "above it is itself";
  EXPECT_EQ(up.qid().type, 0x02);
}

TEST_F(Conversation, AWalkThatEndsEarlyMakesNoFid) {
  Answer partly = client().walk(kRoot, 1, {"folder", "none", "deep"});
  EXPECT_EQ(partly.error(), 0);
  EXPECT_EQ(partly.u16(), 1u);
  EXPECT_EQ(client().clunk(1), EBADF);
  EXPECT_EQ(client().walk(kRoot, 1, {"none"}).error(), ENOENT);
  EXPECT_EQ(client().walk(kRoot, 1, {"file", "x"}).u16(), 1u);
  EXPECT_EQ(client().walk(client().fid("file"), 1, {"x"}).error(), ENOTDIR);
  EXPECT_EQ(client().walk(client().fid("file"), 1, {".."}).error(), 0);
}

TEST_F(Conversation, WalksAreChecked) {
  EXPECT_EQ(client().walk(77, 1, {}).error(), EBADF);
  EXPECT_EQ(client().walk(kRoot, kNoFid, {}).error(), EINVAL);
  EXPECT_EQ(client().walk(kRoot, client().fid("file"), {}).error(), EINVAL) << "in use";
  EXPECT_EQ(client().walk(kRoot, 1, std::vector<std::string>(17, "..")).error(), EINVAL);
  EXPECT_EQ(client().walk(kRoot, 1, std::vector<std::string>(16, "..")).error(), 0);
  const std::uint32_t open = client().opened("file", O_RDONLY);
  EXPECT_EQ(client().walk(open, open, {}).error(), EINVAL) << "it would be open no more";
}

TEST_F(Conversation, ACopyOfAnOpenFidIsNotOpen) {
  const std::uint32_t open = client().opened("file", O_RDONLY);
  ASSERT_EQ(client().walk(open, 1, {}).error(), 0);
  EXPECT_EQ(client().read(1, 0, 10).error(), EBADF);
  EXPECT_EQ(client().open(1, O_RDWR), 0);
  EXPECT_EQ(client().clunk(open), 0);
  EXPECT_EQ(client().content(1), "text");
}

TEST_F(Conversation, FlushesWhatHasBeenAnswered) {
  EXPECT_EQ(client().error_of(Request(MessageType::Flush, 7).u16(6)), 0);
}

TEST_F(Conversation, RefusesWhatIsNoName) {
  const std::string long_name(256, 'n'), zero("file\0x", 6);
  const struct {
    std::string name;
    int error;
  } kNames[] = {{"", EINVAL},
                {".", EINVAL},
                {"folder/inner", EINVAL},
                {"/", EINVAL},
                {"/etc", EINVAL},
                {"../outside", EINVAL},
                {zero, EINVAL},
                {"file/", EINVAL},
                {long_name, ENAMETOOLONG},
                {std::string(60000, 'n'), ENAMETOOLONG}};
  for (const auto& [name, error] : kNames)
    EXPECT_EQ(client().walk(kRoot, 1, {name}).error(), error) << name;
  for (const auto& [name, error] : kNames) {
    const std::uint32_t directory = client().fid("folder");
    EXPECT_EQ(client().create(directory, name, O_RDWR), error) << name;
    EXPECT_EQ(client().make_directory(kRoot, name), error) << name;
    EXPECT_EQ(client().make_link(kRoot, name, "x"), error) << name;
    EXPECT_EQ(client().make_node(kRoot, name, S_IFIFO), error) << name;
    EXPECT_EQ(client().link(kRoot, client().fid("file"), name), error) << name;
    EXPECT_EQ(client().unlink(kRoot, name), error) << name;
    EXPECT_EQ(client().rename(kRoot, name, kRoot, "x"), error) << name;
    EXPECT_EQ(client().rename(kRoot, "file", kRoot, name), error) << name;
    EXPECT_EQ(client().rename(client().fid("file"), kRoot, name), error) << name;
  }
  // ".." is for walks alone.
  EXPECT_EQ(client().create(client().fid("folder"), "..", O_RDWR), EINVAL);
  EXPECT_EQ(client().make_directory(kRoot, ".."), EINVAL);
  EXPECT_EQ(client().unlink(kRoot, "..", AT_REMOVEDIR), EINVAL);
  EXPECT_EQ(client().rename(kRoot, "file", kRoot, ".."), EINVAL);
}

TEST_F(Conversation, EverythingWantsAFidThatIsThere) {
  const std::uint32_t none = 4711;
  EXPECT_EQ(client().clunk(none), EBADF);
  EXPECT_EQ(client().open(none, O_RDONLY), EBADF);
  EXPECT_EQ(client().create(none, "x", O_RDWR), EBADF);
  EXPECT_EQ(client().read(none, 0, 1).error(), EBADF);
  EXPECT_EQ(client().write(none, 0, "x").error(), EBADF);
  EXPECT_EQ(client().make_directory(none, "x"), EBADF);
  EXPECT_EQ(client().make_link(none, "x", "y"), EBADF);
  EXPECT_EQ(client().make_node(none, "x", S_IFIFO), EBADF);
  EXPECT_EQ(client().link(none, kRoot, "x"), EBADF);
  EXPECT_EQ(client().link(kRoot, none, "x"), EBADF);
  EXPECT_EQ(client().unlink(none, "x"), EBADF);
  EXPECT_EQ(client().rename(none, "x", kRoot, "y"), EBADF);
  EXPECT_EQ(client().rename(kRoot, "x", none, "y"), EBADF);
  EXPECT_EQ(client().rename(none, kRoot, "x"), EBADF);
  EXPECT_EQ(client().rename(kRoot, none, "x"), EBADF);
  EXPECT_EQ(client().remove(none), EBADF);
  EXPECT_EQ(client().read_link(none).error(), EBADF);
  using enum MessageType;
  EXPECT_EQ(client().error_of(Request(StatFs).u32(none)), EBADF);
  EXPECT_EQ(client().error_of(Request(GetAttributes).u32(none).u64(0)), EBADF);
  EXPECT_EQ(client().error_of(Request(ReadDirectory).u32(none).u64(0).u32(100)), EBADF);
  EXPECT_EQ(client().error_of(Request(Sync).u32(none).u32(0)), EBADF);
}

// ---- What is no message

// One of each, right and with all that it has.
std::vector<Request> one_of_each() {
  using enum MessageType;
  return {Request(Version, kNoTag).u32(8192).string(kVersion),
          Request(Attach).u32(90).u32(kNoFid).string("u").string("").u32(0),
          Request(Flush).u16(1),
          Request(Walk).u32(0).u32(91).u16(2).string("folder").string("deep"),
          Request(Clunk).u32(0),
          Request(Open).u32(0).u32(0),
          Request(Create).u32(0).string("made").u32(2).u32(0644).u32(0),
          Request(Read).u32(0).u64(0).u32(10),
          Request(Write).u32(0).u64(0).data("data"),
          Request(Sync).u32(0).u32(0),
          Request(Lock).u32(0).u8(0).u32(0).u64(0).u64(0).u32(1).string("client"),
          Request(GetLock).u32(0).u8(0).u64(0).u64(0).u32(1).string("client"),
          Request(ReadDirectory).u32(0).u64(0).u32(1000),
          Request(MakeDirectory).u32(0).string("made").u32(0755).u32(0),
          Request(MakeNode).u32(0).string("made").u32(S_IFIFO).u32(0).u32(0).u32(0),
          Request(SymbolicLink).u32(0).string("made").string("target").u32(0),
          Request(ReadLink).u32(0),
          Request(Link).u32(0).u32(0).string("made"),
          Request(Rename).u32(0).u32(0).string("made"),
          Request(RenameAt).u32(0).string("file").u32(0).string("made"),
          Request(UnlinkAt).u32(0).string("file").u32(0),
          Request(Remove).u32(0),
          Request(GetAttributes).u32(0).u64(0x7ff),
          Request(SetAttributes)
              .u32(0)
              .u32(1)
              .u32(0700)
              .u32(0)
              .u32(0)
              .u64(0)
              .u64(0)
              .u64(0)
              .u64(0)
              .u64(0),
          Request(StatFs).u32(0)};
}

TEST_F(Conversation, AMessageCutAnywhereIsRefusedAndChangesNothing) {
  const auto before = fs::file_size(shared("file"));
  for (const Request& request : one_of_each()) {
    const Bytes whole = request.bytes();
    for (std::size_t size = 0; size < whole.size(); ++size) {
      const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
      EXPECT_EQ(client().send(cut).error(), EPROTO) << "its size is another one";
      if (size < kHeader) continue;
      Bytes right = cut;
      for (unsigned i = 0; i < 4; ++i)
        right[i] = static_cast<std::byte>(size >> (8 * i));
      EXPECT_EQ(client().send(right).error(), EPROTO)
          << "type " << unsigned(whole[4]) << " at " << size;
    }
  }
  EXPECT_EQ(fs::file_size(shared("file")), before);
  EXPECT_FALSE(fs::exists(shared("made")));
  EXPECT_EQ(client().clunk(0), 0) << "the session is as it was";
}

TEST_F(Conversation, MoreThanAMessageHasIsRefused) {
  for (const Request& request : one_of_each())
    EXPECT_EQ(client().error_of(Request(request).u8(0)), EPROTO);
  EXPECT_FALSE(fs::exists(shared("made")));
}

TEST_F(Conversation, SizesThatLieAreRefused) {
  const Request request = Request(MessageType::Clunk).u32(0);
  for (const std::uint32_t size : {0u, 6u, 7u, 10u, 12u, 0x7fffffffu, ~0u})
    EXPECT_EQ(client().send(request.bytes(size)).error(), EPROTO) << size;
  // Strings and data that are longer than what is there.
  EXPECT_EQ(client().error_of(Request(MessageType::UnlinkAt).u32(0).u16(0xffff).raw("file")),
            EPROTO);
  EXPECT_EQ(client().error_of(Request(MessageType::Write).u32(0).u64(0).u32(~0u).raw("x")), EPROTO);
  EXPECT_EQ(client().error_of(Request(MessageType::Walk).u32(0).u32(1).u16(16).string("x")),
            EPROTO);
}

TEST_F(Conversation, AMessageLongerThanAgreedIsRefused) {
  client().begin(kSmallestMessage);
  const std::uint32_t fid = client().opened("file", O_RDWR);
  const std::string fits(kSmallestMessage - 23, 'x');
  EXPECT_EQ(client().write(fid, 0, fits).u32(), fits.size());
  EXPECT_EQ(client().write(fid, 0, fits + "x").error(), EMSGSIZE);
}

TEST_F(Conversation, UnknownTypesAreNotSupported) {
  for (unsigned type = 0; type < 256; ++type) {
    const auto all = one_of_each();
    const bool is_known = std::any_of(all.begin(), all.end(), [&](const Request& request) {
      return request.bytes()[4] == static_cast<std::byte>(type);
    });
    if (is_known) continue;
    const Answer answer = client().ask(Request(static_cast<std::uint8_t>(type), 9).u32(0).u32(0));
    EXPECT_EQ(answer.error(), EOPNOTSUPP) << type;
    EXPECT_EQ(answer.tag(), 9);
  }
}

// ---- Many

TEST_F(Conversation, FidsAreBounded) {
  for (std::uint32_t fid = 1; fid < Fids::kMost; ++fid)
    if (const int error = client().walk(kRoot, fid, {}).error(); error != 0)
      FAIL() << error << " at " << fid;
  EXPECT_EQ(client().walk(kRoot, Fids::kMost, {}).error(), ENFILE);
  EXPECT_EQ(client().attach(Fids::kMost), ENFILE);
  EXPECT_EQ(client().clunk(1), 0);
  EXPECT_EQ(client().walk(kRoot, 1, {}).error(), 0);
}

TEST_F(Conversation, TenThousandFilesAreOpenAtOnceOrRefused) {
  constexpr std::uint32_t kFiles = 10'000;
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit most{before.rlim_max, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &most), 0);
  std::uint32_t opened = 0;
  int error = 0;
  for (; opened < kFiles && error == 0; ++opened) {
    const std::uint32_t fid = 1 + opened;
    error = client().walk(kRoot, fid, {"file"}).error();
    if (error == 0) error = client().open(fid, O_RDWR);
  }
  if (most.rlim_cur > kFiles + 1000) {
    EXPECT_EQ(error, 0);
    EXPECT_EQ(client().content(kFiles), "text");
  } else {
    EXPECT_EQ(error, EMFILE);
    EXPECT_EQ(client().content(1), "text");
    EXPECT_EQ(client().clunk(1), 0);
    EXPECT_EQ(client().walk(kRoot, 1, {"file"}).error(), 0) << "and one has room again";
  }
  client().begin();
  EXPECT_EQ(client().content(client().opened("file", O_RDONLY)), "text");
  ::setrlimit(RLIMIT_NOFILE, &before);
}

}  // namespace
}  // namespace ringside::share
