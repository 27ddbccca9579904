# A history with branches, a merge and packs; all dates and names are given, so that its names are.
export HOME=/tmp GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=c GIT_COMMITTER_EMAIL=c@d
export GIT_AUTHOR_DATE='1700000000 +0000' GIT_COMMITTER_DATE='1700000000 +0000' GIT_PAGER=cat
git --version
rm -rf /tmp/repository
git init -q -b main /tmp/repository
cd /tmp/repository || exit 1
git config gc.auto 0
i=0
while [ $i -lt 6 ]; do
  i=$((i + 1))
  seq $i $((i * 400)) >numbers
  cp /usr/lib/python3.11/heapq.py "file$i.py"
  seq $i >>"file$i.py"
  git add .
  git commit -q -m "commit $i"
done
git checkout -q -b side HEAD~2
seq 900 930 >side && git add side && git commit -q -m side
git checkout -q main
git merge -q --no-edit side
git log --graph --stat --format='%H %T %s'
git diff HEAD~3 HEAD -- numbers | sha256sum
git repack -q -a -d --threads=1
git verify-pack -v .git/objects/pack/*.idx
git fsck --full --no-progress
git archive HEAD | sha256sum
git blame -s file6.py | tail -n 5
cd / && rm -rf /tmp/repository
